/* SPDX-License-Identifier: Apache-2.0
 * What a loaded plugin costs a message: cost IMAGE [CONF-FILE]
 * Allocations are counted and must be none; nanoseconds are printed, and only an absurd figure fails. With COST_CALLS=N
 * and COST_ONLY=NAME it makes N calls of that one and prints nothing: for callgrind, see hook-budget.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void *__libc_malloc(size_t);
static long allocations;
void *malloc(size_t size) {
  __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
  return __libc_malloc(size);
}

enum { CALLS = 5000000, ROUNDS = 3, ABSURD_NS = 5000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
/* The calls themselves, as the host makes them: nothing between the loop and the plugin's function. */
static void call_hook(const fake_reg *reg, void *subject, long calls) {
  martlet_hook_fn fn = (martlet_hook_fn)reg->fn;
  for (long i = 0; i < calls; i++) fn(reg->user, subject);
}
static void call_acl(const fake_reg *reg, void *subject, long calls) {
  martlet_acl_fn fn = (martlet_acl_fn)reg->fn;
  for (long i = 0; i < calls; i++) fn(reg->user, subject);
}
typedef void (*caller)(const fake_reg *, void *, long);

static void measure(const char *what, const fake_reg *reg, caller call, void *subject) {
  const char *only = getenv("COST_ONLY"), *calls = getenv("COST_CALLS");
  if (only != NULL && calls != NULL) {
    if (strcmp(only, what) == 0) call(reg, subject, strtol(calls, NULL, 10));
    return;
  }
  long allocated = allocations;
  double best = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    double begin = now();
    call(reg, subject, CALLS);
    double each = (now() - begin) / CALLS;
    if (each < best) best = each;
  }
  printf("  %s: %.1f ns a call, %ld allocations in %d\n", what, best, allocations - allocated, ROUNDS * CALLS);
  CHECK(allocations == allocated);
  CHECK(best < ABSURD_NS);
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  char conf[8192] = "";
  if (argc > 2) {
    FILE *file = fopen(argv[2], "r");
    CHECK(file != NULL);
    conf[fread(conf, 1, sizeof conf - 1, file)] = 0;
    fclose(file);
  }
  fake *f = fake_new(conf);
  f->log_level = MARTLET_LOG_WARNING;
  CHECK(fake_load(f, argv[1]) == MARTLET_OK);
  if (getenv("COST_ONLY") == NULL) printf("%s\n", strrchr(argv[1], '/') + 1);
  const martlet_message_v1 *messages = fake_extension(&f->host, MARTLET_EXT_MESSAGE);
  martlet_msg_fields fields = {.size = sizeof fields, .topic = fake_bytes("sensor/1"), .payload = fake_bytes("21")};
  martlet_msg *msg = messages->make(&f->host, &fields);
  martlet_event event = {.size = sizeof event, .hook = MARTLET_HOOK_MESSAGE_PUBLISH, .client = 7, .msg = msg,
                         .clientid = fake_bytes("c1")};
  martlet_acl_req request = {.size = sizeof request, .client = 7, .clientid = fake_bytes("c1"),
      .username = fake_bytes("u1"),
                             .peer = fake_bytes("192.0.2.7:51234"), .topic = fake_bytes("site/7/sensor/1"),
                             .action = MARTLET_ACL_PUBLISH, .ctx = f};
  fake_current = 0;
  for (int i = 0; i < FAKE_MAX; i++) {
    if (f->now.regs[i].kind == FAKE_HOOK && f->now.regs[i].hook == MARTLET_HOOK_MESSAGE_PUBLISH)
      measure("message.publish", &f->now.regs[i], call_hook, &event);
    if (f->now.regs[i].kind == FAKE_ACL) measure("acl", &f->now.regs[i], call_acl, &request);
  }
  fake_current = MARTLET_ON_MAIN;
  messages->release(msg);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
  return 0;
}
