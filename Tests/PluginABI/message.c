/* SPDX-License-Identifier: Apache-2.0
 * martlet.message/1: make, read with an older and smaller struct, keep, refuse. */
#include "abi.h"

typedef struct { const martlet_host *h; } me;

static void what_is_read(const martlet_message_v1 *message, martlet_msg *kept, martlet_ctl_out *out) {
  martlet_msg_fields r;
  memset(&r, 0xEE, sizeof r);
  r.size = sizeof r;
  message->read(kept, &r);
  char line[128];
  snprintf(line, sizeof line, "%.*s %.*s %.*s qos%d retain%d", (int)r.topic.len, (const char *)r.topic.ptr, (int)r.payload.len,
           (const char *)r.payload.ptr, (int)r.from_clientid.len, (const char *)r.from_clientid.ptr, r.qos, r.retain);
  out_line(out, line);
  out_number(out, "properties", (long long)r.properties.len);
  out_number(out, "expiry", r.has_expiry ? (long long)r.expiry_s : -1);
  out_number(out, "has_time", r.timestamp_ms > 0);
  out_number(out, "has_id", r.id_lo > 0);

  /* A plugin of an earlier minor knows less of the struct: nothing beyond its size may be written. */
  memset(&r, 0xEE, sizeof r);
  r.size = offsetof(martlet_msg_fields, payload);
  message->read(kept, &r);
  out_number(out, "small_topic", (long long)r.topic.len);
  out_number(out, "beyond", ((uint8_t *)&r.payload)[0]);
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv;
  (void)argc;
  const martlet_message_v1 *message = GET(m->h, message, MARTLET_EXT_MESSAGE);
  static const uint8_t properties[] = {0x01, 0x01, 0x03, 0x00, 0x02, 't', 'x'};
  martlet_msg_fields f = {.size = sizeof f, .qos = 2, .retain = true, .topic = text("a/b"), .payload = text("hello"),
                          .from_clientid = text("me"), .properties = {properties, sizeof properties},
                          .expiry_s = 60, .has_expiry = true};
  martlet_msg *made = message->make(m->h, &f);
  if (!made) return MARTLET_E_NOMEM;
  martlet_msg *kept = message->retain(made);
  message->release(made);
  what_is_read(message, kept, out);
  message->release(kept);

  f.topic = text("a/+");
  out_number(out, "wildcard", message->make(m->h, &f) != NULL);
  f.topic = text("a/b");
  f.qos = 3;
  out_number(out, "qos3", message->make(m->h, &f) != NULL);
  f.qos = 0;
  f.properties.len = 3;
  out_number(out, "cut_properties", message->make(m->h, &f) != NULL);
  f.properties.len = 0;
  f.payload.ptr = NULL;
  out_number(out, "null_payload", message->make(m->h, &f) != NULL);
  f.payload.len = 0;
  f.size = 8;
  out_number(out, "small_fields", message->make(m->h, &f) != NULL);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
}

LIFE(start)
ENTRY(create)
