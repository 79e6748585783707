/* SPDX-License-Identifier: Apache-2.0
 * Reload: nothing published before, during or after it is missing, and a feed cut in the middle goes on.
 * reload IMAGE DIR KIND
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS = 1000, READ_BEFORE = 300 };

static void a_feed_goes_on(fake *f, const char *image) {
  char topic[64];
  for (int n = 0; n < TOPICS; n++) snprintf(topic, sizeof topic, "u/%d", n), publish(f, topic, "x");
  fake_timers(f);
  subscribe(f, "u/#", 0, true, "");
  CHECK(fake_pull(f, READ_BEFORE) == READ_BEFORE && f->nfeeds == 1);
  CHECK(fake_reload_begin(f, image) == MARTLET_OK);
  publish(f, "during/old", "x");
  fake_reload_swap(f);
  publish(f, "during/new", "x");
  CHECK(fake_reload_end(f) == 0 && f->nfeeds == 0);
  CHECK(matches(f, "during/+") == 2);
  f->full = 1;
  fake_timers(f);
  CHECK(f->nfeeds == 0);
  f->full = 0;
  fake_timers(f);
  CHECK(f->nfeeds == 1 && drain(f) == TOPICS - READ_BEFORE);
  publish(f, "after", "x");
  CHECK(prints(f, "retainer info", "retained/total: 1003\n"));
}

/* A store cannot change its kind on the way: the new image refuses, and the old one serves on. */
static void another_kind_is_refused(fake *f, const char *image, const char *dir, const char *kind) {
  fake_set_conf(f, conf_of(dir, strcmp(kind, "ram") == 0 ? "disc" : "ram", 0));
  CHECK(fake_reload(f, image) != MARTLET_OK && strstr(f->error, "unload and load") != NULL);
  fake_set_conf(f, conf_of(dir, kind, 0));
  CHECK(matches(f, "u/#") == TOPICS);
}

int main(int argc, char **argv) {
  CHECK(argc == 4);
  const char *image = argv[1], *dir = argv[2], *kind = argv[3];
  fake *f = loaded(image, conf_of(dir, kind, 0));
  a_feed_goes_on(f, image);
  another_kind_is_refused(f, image, dir, kind);
  CHECK(fake_unload(f) == 0 && fake_live_messages == 0);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(matches(f, "#") == (strcmp(kind, "ram") == 0 ? 0 : TOPICS + 3));
  fake_end(f);
  CHECK(fake_live_messages == 0);
  printf("reload %s ok\n", kind);
  return 0;
}
