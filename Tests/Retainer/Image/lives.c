/* SPDX-License-Identifier: Apache-2.0
 * A thousand lives, every tenth with a reload, leave neither heap nor pages nor a mapping behind: lives IMAGE DIR
 */
#define _GNU_SOURCE
#include "client.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIVES = 1000, WARM_UP = LIVES / 5 };

static long resident_kb(void) {
  long pages = 0, ignored = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(fscanf(f, "%ld %ld", &ignored, &pages) == 2);
  fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void live_once(fake *f, const char *image, int number) {
  CHECK(fake_load(f, image) == MARTLET_OK);
  publish(f, "cycle/a", "x");
  CHECK(matches(f, "cycle/#") == 1);
  if (number % 2 == 0) publish(f, "cycle/a", "");
  if (number % 10 == 0) CHECK(fake_reload(f, image) == MARTLET_OK);
  CHECK(fake_unload(f) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  fake *f = fake_new(conf_of(argv[2], "disc", 0));
  long heap = 0, resident = 0;
  for (int n = 0; n < LIVES; n++) {
    live_once(f, argv[1], n);
    if (n != WARM_UP) continue;
    malloc_trim(0);
    heap = (long)mallinfo2().uordblks, resident = resident_kb();
  }
  malloc_trim(0);
  long heap_growth = (long)mallinfo2().uordblks - heap, growth = resident_kb() - resident;
  CHECK(fake_mapped("data.mdb") == 0);
  printf("%d lives: heap %+ld bytes, resident %+ld KB in the last %d\n", LIVES, heap_growth, growth, LIVES - WARM_UP);
  CHECK(heap_growth < FAKE_LIFE_LEAVES * (LIVES - WARM_UP) && growth < 2048 && fake_live_messages == 0);
  fake_free(f);
  return 0;
}
