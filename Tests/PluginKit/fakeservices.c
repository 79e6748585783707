/* SPDX-License-Identifier: Apache-2.0
 * exec, kv, metrics and client of the host in miniature, and the list of all its extensions.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- exec */

static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static martlet_status submit(fake *f, int32_t where, martlet_task fn, void *user) {
  pthread_mutex_lock(&jobs_lock);
  CHECK(f->njobs < sizeof f->jobs / sizeof *f->jobs);
  f->jobs[f->njobs++] = (fake_job){fn, user, where};
  pthread_mutex_unlock(&jobs_lock);
  return MARTLET_OK;
}
static uint32_t loop_count(const martlet_host *host) {
  (void)host;
  return FAKE_LOOPS;
}
static int32_t current(const martlet_host *host) {
  (void)host;
  return fake_current;
}
static martlet_status on_main(const martlet_host *host, martlet_task fn, void *user) {
  return submit(FAKE(host), MARTLET_ON_MAIN, fn, user);
}
static martlet_status on_loop(const martlet_host *host, uint32_t loop, martlet_task fn, void *user) {
  if ((FAKE(host)->busy && loop == 1) || FAKE(host)->full) return MARTLET_E_BUSY;
  return loop < FAKE_LOOPS ? submit(FAKE(host), (int32_t)loop, fn, user) : MARTLET_E_INVAL;
}
static martlet_status blocking(const martlet_host *host, martlet_task fn, void *user) {
  return FAKE(host)->busy ? MARTLET_E_BUSY : submit(FAKE(host), MARTLET_ON_FOREIGN, fn, user);
}
static void *run_job(void *argument) {
  fake_job *job = argument;
  fake_current = job->where;
  job->fn(job->user);
  fake_current = MARTLET_ON_MAIN;
  return NULL;
}
void fake_pump(fake *f) {
  while (f->jobs_run < f->njobs) {
    fake_job job = f->jobs[f->jobs_run++];
    pthread_t thread;
    if (job.where == MARTLET_ON_FOREIGN) {
      CHECK(pthread_create(&thread, NULL, run_job, &job) == 0);
      pthread_join(thread, NULL);
    } else {
      run_job(&job);
    }
  }
  f->njobs = f->jobs_run = 0;
}
static martlet_status timer(const martlet_host *host, int32_t where, uint32_t first, uint32_t every, martlet_task fn,
                            void *user,
                            martlet_token *out) {
  fake_reg *reg = fake_add(FAKE(host), FAKE_TIMER, (void (*)(void))fn, user, out);
  reg->where = where;
  reg->first_ms = first;
  reg->every_ms = every;
  return MARTLET_OK;
}
void fake_timers(fake *f) {
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].kind == FAKE_TIMER) {
      fake_current = f->now.regs[i].where;
      fake_reg reg = f->now.regs[i];
      ((martlet_task)reg.fn)(reg.user);
      fake_current = MARTLET_ON_MAIN;
      if (reg.every_ms == 0 && f->now.regs[i].token == reg.token) f->now.regs[i] = (fake_reg){0};
    }
  fake_pump(f);
}
static martlet_status poll_fd(const martlet_host *host, int32_t where, int32_t fd, uint32_t events, martlet_poll_fn fn,
                              void *user, martlet_token *out) {
  fake_reg *reg = fake_add(FAKE(host), FAKE_POLL, (void (*)(void))fn, user, out);
  reg->where = where;
  reg->hook = fd;
  reg->first_ms = events;
  return MARTLET_OK;
}
static const martlet_exec_v1 exec = {sizeof exec, loop_count, current, on_main, on_loop, blocking, timer, poll_fd,
    fake_forget};

/* ---- kv */

static bool same(const char *text, size_t len, martlet_bytes bytes) {
  return len == bytes.len && memcmp(text, bytes.ptr, len) == 0;
}
static fake_pair **kv_place(fake *f, martlet_bytes table, martlet_bytes key) {
  fake_pair **place = &f->kv;
  while (*place != NULL && !(same((*place)->table, strlen((*place)->table), table) && same((*place)->key,
      (*place)->klen, key)))
    place = &(*place)->next;
  return place;
}
static char *take_copy(martlet_bytes bytes) {
  char *copy = calloc(1, bytes.len + 1);
  if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
  return copy;
}
static martlet_status kv_allowed(fake *f) {
  if (fake_current >= 0) return MARTLET_E_THREAD;
  return f->kv_fails ? MARTLET_E_IO : MARTLET_OK;
}
static martlet_status kv_put(const martlet_host *host, martlet_bytes table, martlet_bytes key, martlet_bytes value) {
  martlet_status status = kv_allowed(FAKE(host));
  if (status != MARTLET_OK) return status;
  fake_pair **place = kv_place(FAKE(host), table, key);
  if (*place == NULL) {
    *place = calloc(1, sizeof **place);
    (*place)->table = take_copy(table);
    (*place)->key = take_copy(key);
    (*place)->klen = key.len;
  }
  free((*place)->value);
  (*place)->value = take_copy(value);
  (*place)->vlen = value.len;
  return MARTLET_OK;
}
static martlet_status kv_get(const martlet_host *host, martlet_bytes table, martlet_bytes key, void (*fn)(void *,
                             martlet_bytes),
                             void *user) {
  martlet_status status = kv_allowed(FAKE(host));
  if (status != MARTLET_OK) return status;
  fake_pair *pair = *kv_place(FAKE(host), table, key);
  if (pair == NULL) return MARTLET_E_NOTFOUND;
  fn(user, (martlet_bytes){(uint8_t *)pair->value, pair->vlen});
  return MARTLET_OK;
}
static martlet_status kv_del(const martlet_host *host, martlet_bytes table, martlet_bytes key) {
  martlet_status status = kv_allowed(FAKE(host));
  if (status != MARTLET_OK) return status;
  fake_pair **place = kv_place(FAKE(host), table, key), *pair = *place;
  if (pair == NULL) return MARTLET_E_NOTFOUND;
  *place = pair->next;
  free(pair->table), free(pair->key), free(pair->value), free(pair);
  return MARTLET_OK;
}
static martlet_status kv_scan(const martlet_host *host, martlet_bytes table, martlet_bytes prefix,
                              bool (*fn)(void *, martlet_bytes, martlet_bytes), void *user) {
  martlet_status status = kv_allowed(FAKE(host));
  for (fake_pair *p = FAKE(host)->kv; p != NULL && status == MARTLET_OK; p = p->next)
    if (same(p->table, strlen(p->table), table) && p->klen >= prefix.len && memcmp(p->key,
        prefix.ptr ? (const void *)prefix.ptr : "", prefix.len) == 0)
      if (!fn(user, (martlet_bytes){(uint8_t *)p->key, p->klen}, (martlet_bytes){(uint8_t *)p->value, p->vlen})) break;
  return status;
}
static martlet_status kv_change(const martlet_host *host, martlet_bytes table, const martlet_kv_change *changes, size_t n) {
  martlet_status status = kv_allowed(FAKE(host));
  for (size_t i = 0; i < n && status == MARTLET_OK; i++) {
    if (changes[i].removes)
      kv_del(host, table, changes[i].key);
    else
      status = kv_put(host, table, changes[i].key, changes[i].value);
  }
  return status;
}
static const martlet_kv_v1 kv = {sizeof kv, kv_put, kv_get, kv_del, kv_scan, kv_change};

/* ---- metrics, client */

static martlet_status metric_define(const martlet_host *host, int32_t kind, const char *name, const char *help,
                                    martlet_token *out) {
  (void)kind, (void)help;
  fake_reg *reg = fake_add(FAKE(host), FAKE_METRIC, (void (*)(void))metric_define, NULL, out);
  snprintf(reg->text, sizeof reg->text, "%s", name);
  FAKE(host)->metric[reg->token % FAKE_MAX] = 0;
  return MARTLET_OK;
}
int64_t fake_metric(fake *f, const char *name) {
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].kind == FAKE_METRIC && strcmp(f->now.regs[i].text, name) == 0)
      return f->metric[f->now.regs[i].token % FAKE_MAX];
  CHECK(!"no such metric");
  return -1;
}
static void metric_add(const martlet_host *host, martlet_token token, int64_t delta) {
  FAKE(host)->metric[token % FAKE_MAX] += delta;
}
static void metric_set(const martlet_host *host, martlet_token token, int64_t value) {
  FAKE(host)->metric[token % FAKE_MAX] = value;
}
static const martlet_metrics_v1 metrics = {sizeof metrics, metric_define, metric_add, metric_set};

static const char peer[] = "192.0.2.7:51234";
static martlet_status client_get(const martlet_host *host, martlet_client client, int32_t field, martlet_bytes *out) {
  (void)host;
  if (client != 7) return MARTLET_E_STALE;
  if (field != MARTLET_CL_PEER && field != MARTLET_CL_USERNAME) return MARTLET_E_NOTFOUND;
  *out = fake_bytes(field == MARTLET_CL_PEER ? peer : "alice");
  return MARTLET_OK;
}
static size_t client_copy(const martlet_host *host, martlet_client client, int32_t field, uint8_t *dst, size_t cap) {
  martlet_bytes got = {0};
  if (client_get(host, client, field, &got) != MARTLET_OK) return 0;
  if (dst != NULL) memcpy(dst, got.ptr, got.len < cap ? got.len : cap);
  return got.len;
}
static martlet_status client_kick(const martlet_host *host, martlet_client client, uint8_t reason) {
  FAKE(host)->answer_reason = reason;
  return client == 7 ? MARTLET_OK : MARTLET_E_STALE;
}
static martlet_client by_clientid(const martlet_host *host, martlet_bytes id) {
  (void)host;
  return same("c1", 2, id) ? 7 : 0;
}
static const martlet_client_v1 client = {sizeof client, client_get, client_copy, client_kick, by_clientid};

/* ---- all of them */

const void *fake_extension(const martlet_host *host, const char *id) {
  (void)host;
  static const struct { const char *id; const void *table; } all[] = {
      {MARTLET_EXT_LOG, &fake_log},          {MARTLET_EXT_CONFIG, &fake_config},
      {MARTLET_EXT_HOOKS, &fake_hooks_table}, {MARTLET_EXT_MESSAGE, &fake_message_table},
      {MARTLET_EXT_AUTH, &fake_auth_table},  {MARTLET_EXT_ACL, &fake_acl_table},
      {MARTLET_EXT_PSK, &fake_psk_table},
      {MARTLET_EXT_CTL, &fake_ctl_table},    {MARTLET_EXT_EXEC, &exec},
      {MARTLET_EXT_KV, &kv},                 {MARTLET_EXT_METRICS, &metrics},
      {MARTLET_EXT_CLIENT, &client},         {MARTLET_EXT_PUBSUB, &fake_pubsub_table},
      {MARTLET_EXT_HTTPC, &fake_httpc},
      {MARTLET_EXT_HTTP, &fake_http_table}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i].id, id) == 0) return all[i].table;
  return NULL;
}
