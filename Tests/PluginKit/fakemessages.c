/* SPDX-License-Identifier: Apache-2.0
 * message and pubsub of the host in miniature: messages are counted, what is delivered is remembered, and feeds give
 * when a test pulls at them.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long fake_live_messages;

/* ---- message */

static martlet_bytes place(char **at, martlet_bytes from) {
  martlet_bytes placed = {(uint8_t *)*at, from.len};
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  (*at)[from.len] = 0;
  *at += from.len + 1;
  return placed;
}
static void msg_read(const martlet_msg *m, martlet_msg_fields *out) {
  CHECK(out->size >= sizeof *out);
  *out = m->fields;
}
static martlet_msg *msg_make(const martlet_host *host, const martlet_msg_fields *fields) {
  (void)host;
  if (fields->topic.len == 0) return NULL;
  size_t room = fields->topic.len + fields->payload.len + fields->properties.len + fields->from_clientid.len +
                fields->from_username.len + 5;
  martlet_msg *m = malloc(sizeof *m + room);
  char *at = m->texts;
  m->count = 1;
  m->fields = *fields;
  m->fields.topic = place(&at, fields->topic);
  m->fields.payload = place(&at, fields->payload);
  m->fields.properties = place(&at, fields->properties);
  m->fields.from_clientid = place(&at, fields->from_clientid);
  m->fields.from_username = place(&at, fields->from_username);
  fake_live_messages++;
  return m;
}
static martlet_msg *msg_retain(const martlet_msg *m) {
  ((martlet_msg *)m)->count++;
  return (martlet_msg *)m;
}
static void msg_release(martlet_msg *m) {
  CHECK(m->count > 0);
  if (--m->count > 0) return;
  fake_live_messages--;
  free(m);
}
const martlet_message_v1 fake_message_table = {sizeof fake_message_table, msg_read, msg_make, msg_retain, msg_release};

/* ---- pubsub */

static bool is_text(martlet_bytes bytes, const char *text) {
  return bytes.len == strlen(text) && memcmp(text, bytes.ptr, bytes.len) == 0;
}
static martlet_msg_fields fields_of(const martlet_msg *m) {
  martlet_msg_fields fields = {.size = sizeof fields};
  fake_message_table.read(m, &fields);
  return fields;
}
static void remember(fake *f, const martlet_msg *m) {
  martlet_msg_fields fields = fields_of(m);
  size_t used = strlen(f->delivered);
  snprintf(f->delivered + used, sizeof f->delivered - used, "%.*s=%.*s;", (int)fields.topic.len, fields.topic.ptr,
           (int)fields.payload.len, fields.payload.ptr);
}
static martlet_status publish(const martlet_host *host, martlet_msg *m, bool run_hooks) {
  (void)run_hooks;
  remember(FAKE(host), m);
  for (int i = 0; i < FAKE_MAX; i++) {
    fake_reg *reg = &FAKE(host)->now.regs[i];
    if (reg->kind == FAKE_SUB && is_text(fields_of(m).topic, reg->text))
      ((martlet_deliver_fn)reg->fn)(reg->user, m, fake_bytes(reg->text));
  }
  fake_message_table.release(m);
  return MARTLET_OK;
}
static martlet_status subscribe(const martlet_host *host, martlet_bytes filter, uint8_t qos, martlet_deliver_fn fn,
                                void *user, martlet_token *out) {
  (void)qos;
  fake_reg *reg = fake_add(FAKE(host), FAKE_SUB, (void (*)(void))fn, user, out);
  snprintf(reg->text, sizeof reg->text, "%.*s", (int)filter.len, filter.ptr);
  return MARTLET_OK;
}
static martlet_status session_subscribe(const martlet_host *host, martlet_session s, const martlet_sub *sub, size_t n) {
  (void)host, (void)sub;
  return s == FAKE_SESSION && n == 1 ? MARTLET_OK : MARTLET_E_STALE;
}
static martlet_status session_deliver(const martlet_host *host, martlet_session s, martlet_msg *m, uint8_t qos,
                                      bool retain) {
  (void)qos, (void)retain;
  if (s == FAKE_SESSION) remember(FAKE(host), m);
  fake_message_table.release(m);
  return s == FAKE_SESSION ? MARTLET_OK : MARTLET_E_STALE;
}
static martlet_status session_feed(const martlet_host *host, martlet_session s, const martlet_feed *feed) {
  fake *f = FAKE(host);
  CHECK(fake_current >= 0);
  if (s != FAKE_SESSION) return MARTLET_E_STALE;
  CHECK(f->nfeeds < FAKE_FEEDS);
  f->feeds[f->nfeeds++] = *feed;
  return MARTLET_OK;
}
const martlet_pubsub_v1 fake_pubsub_table = {sizeof fake_pubsub_table, publish, subscribe, fake_forget,
    session_subscribe, session_deliver, session_feed};

static void end_feed(fake *f) {
  martlet_feed feed = f->feeds[0];
  memmove(f->feeds, f->feeds + 1, --f->nfeeds * sizeof *f->feeds);
  if (f->feeds_before > 0) f->feeds_before--;
  fake_current = 0;
  feed.end(feed.user);
  fake_current = MARTLET_ON_MAIN;
}
void fake_end_feeds(fake *f, size_t n) {
  while (n-- > 0) end_feed(f);
}
int fake_pull(fake *f, int most) {
  if (f->nfeeds == 0) return -1;
  int count = 0;
  while (count < most) {
    bool more = true;
    fake_current = 0;
    martlet_msg *m = f->feeds[0].next(f->feeds[0].user, &more);
    fake_current = MARTLET_ON_MAIN;
    if (m != NULL) {
      remember(f, m);
      fake_message_table.release(m);
      count++;
    }
    if (!more) {
      end_feed(f);
      break;
    }
    /* It waits for something of its own: for what blocks, say. */
    if (m == NULL) fake_pump(f);
  }
  return count;
}
