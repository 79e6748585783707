/* SPDX-License-Identifier: Apache-2.0
 * What one kind of storage keeps and gives: storage IMAGE DIR KIND
 * KIND "refused": the retainer must not load, because the folder cannot be made.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keeps_the_last_of_each_topic(fake *f) {
  publish(f, "a/b", "1");
  publish(f, "a/c", "2");
  publish(f, "$SYS/x", "3");
  publish(f, "a/b", "4");
  CHECK(matches(f, "a/b") == 1 && strcmp(f->delivered, "a/b=4;") == 0);
  CHECK(matches(f, "#") == 2 && matches(f, "$SYS/#") == 1 && matches(f, "nothing") == -1 && matches(f, "b/#") == 0);
  fake_timers(f);
  CHECK(matches(f, "a/+") == 2 && strcmp(f->delivered, "a/b=4;a/c=2;") == 0);
}

static void commands(fake *f) {
  CHECK(prints(f, "retainer info", "retained/total: 3\n") && fake_metric(f, "retained/count") == 3);
  CHECK(prints(f, "retainer topics", "$SYS/x\na/b\na/c\n"));
  CHECK(prints(f, "retainer topics a/#", "a/b\na/c\n"));
  CHECK(fake_ctl(f, "retainer nonsense") == MARTLET_E_INVAL && fake_ctl(f, "retainer clean a#") == MARTLET_E_INVAL);
}

static void retain_handling(fake *f) {
  subscribe(f, "#", 2, true, "");      /* never [MQTT-3.3.1-11] */
  subscribe(f, "#", 1, false, "");     /* not new [MQTT-3.3.1-10] */
  subscribe(f, "#", 0, true, "group"); /* shared, MQTT 5 4.8.2 */
  CHECK(drain(f) == -1);
  subscribe(f, "#", 1, true, "");
  CHECK(drain(f) == 2);
}

static void limits(fake *f) {
  f->log[0] = 0;
  publish(f, "b/1", "x"), publish(f, "b/2", "x"), publish(f, "b/3", "x");
  CHECK(strcmp(f->log, "Cannot retain message(topic=b/3) for table is full!\n") == 0);
  CHECK(fake_metric(f, "retained/dropped/table_full") == 1 && fake_metric(f, "retained/count") == 5);
  CHECK(matches(f, "b/#") == 2);
  char big[1026];
  memset(big, 'x', sizeof big - 1);
  big[1025] = 0;
  publish(f, "b/1", big);
  CHECK(fake_metric(f, "retained/dropped/payload_size") == 1);
  CHECK(matches(f, "b/1") == 1 && strcmp(f->delivered, "b/1=x;") == 0);
  CHECK(prints(f, "retainer clean b/#", "Cleaned 2 retained messages\n"));
}

static void removal_and_expiry(fake *f) {
  publish(f, "a/c", "");
  CHECK(matches(f, "a/#") == 1);
  publish_at(f, "e", "gone", now_ms() - 10000, 5);
  publish_at(f, "f", "here", now_ms(), 3600);
  CHECK(matches(f, "e") == -1 && matches(f, "f") == 1);
  fake_timers(f);
  CHECK(prints(f, "retainer info", "retained/total: 3\n") && fake_metric(f, "retained/max") == 5);
}

static uint32_t milliseconds_between_ticks(fake *f) {
  uint32_t every = 0;
  int timers = 0;
  fake_pump(f);
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].kind == FAKE_TIMER) every = f->now.regs[i].every_ms, timers++;
  return timers == 1 ? every : 0;
}

/* An idle broker sleeps: the timer is slow after a second without work, and fast again with the next message. */
static void rests(fake *f) {
  CHECK(milliseconds_between_ticks(f) == 50);
  for (int i = 0; i < 25; i++) fake_timers(f);
  CHECK(milliseconds_between_ticks(f) == 1000);
  for (int i = 0; i < 25; i++) fake_timers(f);
  CHECK(milliseconds_between_ticks(f) == 1000);
  publish(f, "a/c", "");
  CHECK(milliseconds_between_ticks(f) == 50);
  publish_at(f, "soon", "x", now_ms(), 1);
  for (int i = 0; i < 25; i++) fake_timers(f);
  CHECK(milliseconds_between_ticks(f) == 50); /* it is over before a slow tick would come */
  publish(f, "soon", "");
}

/* With a retainer of its own each: what lies on disc is there again, what lay in memory is not. */
static void next_life(fake *f, const char *image, bool is_ram) {
  CHECK(fake_unload(f) == 0 && fake_live_messages == 0);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(matches(f, "#") == (is_ram ? 0 : 2));
  CHECK(prints(f, "retainer clean", is_ram ? "Cleaned 0 retained messages\n" : "Cleaned 3 retained messages\n"));
}

static void is_refused(const char *image, const char *dir) {
  fake *f = fake_new(conf_of(dir, "disc", 5));
  CHECK(fake_load(f, image) != MARTLET_OK && strstr(f->error, dir) != NULL);
  printf("refused with: %s\n", f->error);
  fake_free(f);
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  if (strcmp(argv[3], "refused") == 0) {
    is_refused(argv[1], argv[2]);
    return 0;
  }
  fake *f = loaded(argv[1], conf_of(argv[2], argv[3], 5));
  keeps_the_last_of_each_topic(f);
  commands(f);
  retain_handling(f);
  limits(f);
  removal_and_expiry(f);
  rests(f);
  next_life(f, argv[1], strcmp(argv[3], "ram") == 0);
  fake_end(f);
  CHECK(fake_live_messages == 0);
  printf("storage %s ok\n", argv[3]);
  return 0;
}
