/* SPDX-License-Identifier: Apache-2.0
 * What a loaded plugin costs a message: cost IMAGE [CONF-FILE]
 * Allocations are counted and must be none; nanoseconds are printed, and only an absurd figure fails.
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

enum { CALLS = 5000000, ABSURD_NS = 5000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
typedef void (*step)(fake_reg *, void *);
static void hook_step(fake_reg *reg, void *subject) { ((martlet_hook_fn)reg->fn)(reg->user, subject); }
static void acl_step(fake_reg *reg, void *subject) { ((martlet_acl_fn)reg->fn)(reg->user, subject); }

static void measure(const char *what, fake_reg *reg, step call, void *subject) {
  long allocated = allocations;
  double best = 1e9;
  for (int round = 0; round < 3; round++) {
    double begin = now();
    for (int i = 0; i < CALLS; i++) call(reg, subject);
    double each = (now() - begin) / CALLS;
    if (each < best) best = each;
  }
  printf("  %s: %.1f ns a call, %ld allocations in %d\n", what, best, allocations - allocated, 3 * CALLS);
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
  printf("%s\n", strrchr(argv[1], '/') + 1);
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
    if (f->regs[i].kind == FAKE_HOOK && f->regs[i].hook == MARTLET_HOOK_MESSAGE_PUBLISH)
      measure("message.publish", &f->regs[i], hook_step, &event);
    if (f->regs[i].kind == FAKE_ACL) measure("acl", &f->regs[i], acl_step, &request);
  }
  fake_current = MARTLET_ON_MAIN;
  messages->release(msg);
  CHECK(fake_unload(f) == 0);
  fake_free(f);
  return 0;
}
