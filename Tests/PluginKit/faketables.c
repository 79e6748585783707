/* SPDX-License-Identifier: Apache-2.0
 * hooks, auth, acl, psk and ctl of the host in miniature, and the calls that drive a plugin through them.
 * What a plugin borrows lives in one heap block per call that is overwritten and freed afterwards: a plugin that keeps
 * borrowed bytes reads 0xDB, and valgrind tells where.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_reg *fake_add(fake *f, int32_t kind, void (*fn)(void), void *user, martlet_token *out) {
  CHECK(fake_current == MARTLET_ON_MAIN);
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].fn == NULL) {
      f->now.regs[i] = (fake_reg){.token = ++f->next_token, .kind = kind, .fn = fn, .user = user};
      if (out != NULL) *out = f->next_token;
      return &f->now.regs[i];
    }
  CHECK(!"too many registrations");
  return NULL;
}
fake_reg *fake_find(fake *f, martlet_token token) {
  for (int i = 0; i < 2 * FAKE_MAX; i++) {
    fake_reg *reg = i < FAKE_MAX ? &f->now.regs[i] : &f->other.regs[i - FAKE_MAX];
    if (reg->fn != NULL && reg->token == token) return reg;
  }
  return NULL;
}
martlet_status fake_forget(const martlet_host *host, martlet_token token) {
  fake_reg *reg = fake_find(FAKE(host), token);
  if (reg == NULL) return MARTLET_E_STALE;
  *reg = (fake_reg){0};
  return MARTLET_OK;
}

/* ---- borrowed bytes */

typedef struct lent { uint8_t *memory; size_t used; } lent;
enum { LENT_BYTES = 4096 };
static lent lend(void) { return (lent){malloc(LENT_BYTES), 0}; }
static martlet_bytes borrow(lent *l, const char *text) {
  if (text == NULL) return (martlet_bytes){0};
  size_t len = strlen(text);
  CHECK(l->used + len <= LENT_BYTES);
  martlet_bytes bytes = {memcpy(l->memory + l->used, text, len), len};
  l->used += len;
  return bytes;
}
static void take_back(lent *l) {
  memset(l->memory, 0xDB, LENT_BYTES);
  free(l->memory);
}

/* ---- hooks */

static martlet_status hook_add(const martlet_host *host, int32_t hook, int32_t priority, martlet_hook_fn fn,
                               martlet_bytes filter, void *user, martlet_token *out) {
  fake_reg *reg = fake_add(FAKE(host), FAKE_HOOK, (void (*)(void))fn, user, out);
  reg->hook = hook & ~MARTLET_HOOK_RETAIN_ONLY;
  reg->retain_only = hook & MARTLET_HOOK_RETAIN_ONLY;
  reg->priority = priority;
  snprintf(reg->text, sizeof reg->text, "%.*s", (int)filter.len, filter.ptr);
  return MARTLET_OK;
}
static martlet_status hook_set_topic(martlet_event *ev, size_t index, martlet_bytes topic) {
  static char copy[256];
  if (index >= ev->nsubs) return MARTLET_E_INVAL;
  snprintf(copy, sizeof copy, "%.*s", (int)topic.len, topic.ptr);
  ev->subs[index].topic = fake_bytes(copy);
  return MARTLET_OK;
}
static fake *owner; /* defer() gets no host; tests run one host at a time */
static martlet_deferred open_deferral(fake *f) {
  f->answered = 0;
  return f->open_deferral = ++f->next_deferral;
}
static martlet_deferred hook_defer(martlet_event *ev, uint32_t timeout_ms) {
  (void)ev, (void)timeout_ms;
  return open_deferral(owner);
}
static martlet_status settle(fake *f, martlet_deferred id, int32_t verdict) {
  if (id == 0 || id != f->open_deferral) {
    f->stale_answers++;
    return MARTLET_E_STALE;
  }
  f->open_deferral = 0;
  f->answered = 1;
  f->answer_verdict = verdict;
  return MARTLET_OK;
}
static martlet_status hook_resume(const martlet_host *host, martlet_deferred id, int32_t verdict,
                                  martlet_msg *replacement) {
  if (replacement != NULL) fake_message_table.release(replacement);
  return settle(FAKE(host), id, verdict);
}
const martlet_hooks_v1 fake_hooks_table = {sizeof fake_hooks_table, hook_add, fake_forget, hook_set_topic,
    hook_defer, hook_resume};

static int32_t run_hooks(fake *f, martlet_event *ev) {
  int32_t verdict = MARTLET_NEXT;
  owner = f;
  fake_current = 0;
  for (int i = 0; i < FAKE_MAX && verdict == MARTLET_NEXT; i++)
    if (f->now.regs[i].kind == FAKE_HOOK && f->now.regs[i].hook == ev->hook &&
        (!f->now.regs[i].retain_only || ev->msg->fields.retain))
      verdict = ((martlet_hook_fn)f->now.regs[i].fn)(f->now.regs[i].user, ev);
  fake_current = MARTLET_ON_MAIN;
  return verdict;
}
int32_t fake_message_of(fake *f, int32_t hook, const martlet_msg_fields *fields, char *seen, size_t cap) {
  lent l = lend();
  martlet_msg *original = fake_message_table.make(&f->host, fields);
  martlet_event ev = {.size = sizeof ev, .hook = hook, .client = 7, .session = 8, .clientid = borrow(&l, "c1"),
                      .msg = original, .code = hook == MARTLET_HOOK_MESSAGE_DROPPED ? MARTLET_DROP_SLOW : 0};
  int32_t verdict = run_hooks(f, &ev);
  if (seen != NULL) snprintf(seen, cap, "%s", (const char *)ev.msg->fields.payload.ptr);
  if (ev.msg != original) fake_message_table.release(ev.msg);
  CHECK(original->count >= 1);
  fake_message_table.release(original);
  take_back(&l);
  return verdict;
}
int32_t fake_message(fake *f, int32_t hook, const char *topic, const char *payload, char *seen, size_t cap) {
  martlet_msg_fields fields = {.size = sizeof fields, .qos = 1, .topic = fake_bytes(topic),
                               .payload = fake_bytes(payload), .from_clientid = fake_bytes("sender")};
  return fake_message_of(f, hook, &fields, seen, cap);
}
int32_t fake_client_hook(fake *f, int32_t hook, const char *clientid, int32_t code) {
  lent l = lend();
  martlet_event ev = {.size = sizeof ev, .hook = hook, .client = 7, .session = 8, .clientid = borrow(&l, clientid),
                      .username = borrow(&l, "u1"), .code = code};
  int32_t verdict = run_hooks(f, &ev);
  take_back(&l);
  return verdict;
}
int32_t fake_subscribe_of(fake *f, int32_t hook, const char *clientid, const char *filter, martlet_sub *sub) {
  lent l = lend();
  sub->size = sizeof *sub;
  sub->topic = borrow(&l, filter);
  martlet_event ev = {.size = sizeof ev, .hook = hook, .client = 7, .session = 8, .clientid = borrow(&l, clientid),
                      .subs = sub, .nsubs = 1};
  int32_t verdict = run_hooks(f, &ev);
  take_back(&l);
  return verdict;
}
int32_t fake_subscribe(fake *f, int32_t hook, const char *clientid, const char *filter, martlet_sub *out) {
  martlet_sub sub = {.qos = 1, .is_new = true};
  int32_t verdict = fake_subscribe_of(f, hook, clientid, filter, &sub);
  if (out != NULL) *out = sub;
  return verdict;
}
int32_t fake_subscribe_long(fake *f, int32_t hook, const char *first, const char *second, fake_long_sub *subs) {
  lent l = lend();
  subs[0].known.size = subs[1].known.size = sizeof *subs;
  subs[0].known.topic = borrow(&l, first);
  subs[1].known.topic = borrow(&l, second);
  martlet_event ev = {.size = sizeof ev, .hook = hook, .client = 7, .session = 8, .clientid = borrow(&l, "c1"),
                      .subs = &subs[0].known, .nsubs = 2};
  int32_t verdict = run_hooks(f, &ev);
  take_back(&l);
  return verdict;
}

/* ---- auth, acl */

static martlet_status auth_add(const martlet_host *host, int32_t priority, martlet_auth_fn fn, void *user,
                               martlet_token *out) {
  fake_add(FAKE(host), FAKE_AUTH, (void (*)(void))fn, user, out)->priority = priority;
  return MARTLET_OK;
}
static martlet_deferred auth_defer(const martlet_auth_req *request, uint32_t timeout_ms) {
  (void)timeout_ms;
  return open_deferral((fake *)request->ctx);
}
static martlet_status auth_answer(const martlet_host *host, martlet_deferred id, const martlet_auth_result *result) {
  CHECK(result->size >= sizeof *result);
  FAKE(host)->answer_reason = result->reason_code;
  FAKE(host)->answer_super = result->superuser;
  return settle(FAKE(host), id, result->verdict);
}
const martlet_auth_v1 fake_auth_table = {sizeof fake_auth_table, auth_add, auth_defer, auth_answer};

int32_t fake_auth_direct(fake *f, fake_client c) {
  int32_t verdict = MARTLET_IGNORE;
  fake_current = 0;
  for (int i = 0; i < FAKE_MAX && verdict == MARTLET_IGNORE; i++)
    if (f->now.regs[i].kind == FAKE_AUTH) {
      lent l = lend();
      martlet_auth_req request = {.size = sizeof request, .client = 7, .clientid = borrow(&l, c.clientid),
                                  .username = borrow(&l, c.username), .password = borrow(&l, c.password),
                                  .peer = borrow(&l, c.peer), .has_username = c.username != NULL,
                                  .has_password = c.password != NULL, .ctx = f};
      martlet_auth_result out = {.size = sizeof out};
      verdict = ((martlet_auth_fn)f->now.regs[i].fn)(f->now.regs[i].user, &request, &out);
      if (verdict != MARTLET_PENDING) f->answer_reason = out.reason_code;
      take_back(&l);
    }
  fake_current = MARTLET_ON_MAIN;
  return verdict;
}
int32_t fake_auth(fake *f, fake_client c) {
  int32_t verdict = fake_auth_direct(f, c);
  if (verdict != MARTLET_PENDING) return verdict;
  fake_pump(f);
  CHECK(f->answered);
  return f->answer_verdict;
}

static void terminated(char *to, size_t cap, martlet_bytes from) {
  CHECK(from.len < cap);
  if (from.len > 0) memcpy(to, from.ptr, from.len);
  to[from.len] = 0;
}
int32_t fake_auth_step(fake *f, fake_step s) {
  int32_t verdict = MARTLET_IGNORE;
  fake_current = 0;
  for (int i = 0; i < FAKE_MAX && verdict == MARTLET_IGNORE; i++)
    if (f->now.regs[i].kind == FAKE_AUTH) {
      lent l = lend();
      martlet_auth_req request = {.size = sizeof request, .client = s.client, .clientid = borrow(&l, "c1"),
                                  .username = borrow(&l, s.username), .has_username = s.username != NULL,
                                  .auth_method = borrow(&l, s.method), .auth_data = borrow(&l, s.data),
                                  .step = s.step, .reauthenticate = s.reauthenticate, .ctx = f};
      martlet_auth_result out = {.size = sizeof out};
      verdict = ((martlet_auth_fn)f->now.regs[i].fn)(f->now.regs[i].user, &request, &out);
      f->answer_reason = out.reason_code;
      take_back(&l);
      terminated(f->auth_data, sizeof f->auth_data, out.auth_data);
      terminated(f->auth_username, sizeof f->auth_username, out.username);
    }
  fake_current = MARTLET_ON_MAIN;
  return verdict;
}

static martlet_status acl_add(const martlet_host *host, int32_t priority, martlet_acl_fn fn, void *user,
                              martlet_token *out) {
  fake_add(FAKE(host), FAKE_ACL, (void (*)(void))fn, user, out)->priority = priority;
  return MARTLET_OK;
}
static martlet_deferred acl_defer(const martlet_acl_req *request, uint32_t timeout_ms) {
  (void)timeout_ms;
  return open_deferral((fake *)request->ctx);
}
static martlet_status acl_answer(const martlet_host *host, martlet_deferred id, int32_t verdict) {
  return settle(FAKE(host), id, verdict);
}
static martlet_status acl_invalidate(const martlet_host *host, martlet_client client) {
  (void)client;
  FAKE(host)->invalidations++;
  return MARTLET_OK;
}
static martlet_status acl_any_topic(const martlet_acl_req *request) {
  ((fake *)request->ctx)->any_topic = true;
  return MARTLET_OK;
}
const martlet_acl_v1 fake_acl_table = {sizeof fake_acl_table, acl_add, acl_defer, acl_answer, acl_invalidate,
                                       acl_any_topic};

int32_t fake_acl(fake *f, fake_client c, int action, const char *topic) {
  int32_t verdict = MARTLET_IGNORE;
  fake_current = 0;
  f->any_topic = false;
  for (int i = 0; i < FAKE_MAX && verdict == MARTLET_IGNORE; i++)
    if (f->now.regs[i].kind == FAKE_ACL) {
      lent l = lend();
      martlet_acl_req request = {.size = sizeof request, .client = 7, .clientid = borrow(&l, c.clientid),
                                 .username = borrow(&l, c.username), .peer = borrow(&l, c.peer),
                                 .topic = borrow(&l, topic), .action = (uint8_t)action, .ctx = f};
      verdict = ((martlet_acl_fn)f->now.regs[i].fn)(f->now.regs[i].user, &request);
      take_back(&l);
    }
  fake_current = MARTLET_ON_MAIN;
  return verdict;
}

/* ---- psk */

static martlet_status psk_add(const martlet_host *host, int32_t priority, martlet_psk_fn fn, void *user,
                              martlet_token *out) {
  fake_add(FAKE(host), FAKE_PSK, (void (*)(void))fn, user, out)->priority = priority;
  return MARTLET_OK;
}
const martlet_psk_v1 fake_psk_table = {sizeof fake_psk_table, psk_add};

size_t fake_psk(fake *f, const char *identity, uint8_t key[MARTLET_PSK_MAX_KEY]) {
  size_t count = 0;
  fake_current = 0;
  for (int i = 0; i < FAKE_MAX && count == 0; i++)
    if (f->now.regs[i].kind == FAKE_PSK) {
      lent l = lend();
      count = ((martlet_psk_fn)f->now.regs[i].fn)(f->now.regs[i].user, borrow(&l, identity), key, MARTLET_PSK_MAX_KEY);
      take_back(&l);
    }
  fake_current = MARTLET_ON_MAIN;
  return count;
}

/* ---- ctl */

static martlet_status ctl_command(const martlet_host *host, const char *name, const martlet_ctl_usage *usage, size_t n,
                                  martlet_ctl_fn fn, void *user, martlet_token *out) {
  CHECK(n > 0 && strncmp(usage[0].synopsis, name, strlen(name)) == 0);
  for (int i = 0; i < FAKE_MAX; i++)
    if (FAKE(host)->now.regs[i].kind == FAKE_CTL && strcmp(FAKE(host)->now.regs[i].text, name) == 0) return MARTLET_E_EXISTS;
  fake_reg *reg = fake_add(FAKE(host), FAKE_CTL, (void (*)(void))fn, user, out);
  snprintf(reg->text, sizeof reg->text, "%s", name);
  return MARTLET_OK;
}
const martlet_ctl_v1 fake_ctl_table = {sizeof fake_ctl_table, ctl_command};

static void print(void *impl, martlet_bytes text) {
  fake *f = impl;
  size_t used = strlen(f->out);
  snprintf(f->out + used, sizeof f->out - used, "%.*s", (int)text.len, text.ptr);
}
martlet_status fake_ctl(fake *f, const char *command) {
  lent l = lend();
  char copy[512];
  martlet_bytes argv[16];
  size_t argc = 0;
  snprintf(copy, sizeof copy, "%s", command);
  for (char *word = strtok(copy, " "); word != NULL && argc < 16; word = strtok(NULL, " ")) argv[argc++] = borrow(&l,
      word);
  f->out[0] = f->error[0] = 0;
  martlet_ctl_out out = {sizeof out, f, print};
  martlet_status status = MARTLET_E_NOTFOUND;
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].kind == FAKE_CTL && strlen(f->now.regs[i].text) == argv[0].len &&
        memcmp(f->now.regs[i].text, argv[0].ptr, argv[0].len) == 0)
      status = ((martlet_ctl_fn)f->now.regs[i].fn)(f->now.regs[i].user, argv, argc, &out);
  take_back(&l);
  fake_pump(f);
  return status;
}
