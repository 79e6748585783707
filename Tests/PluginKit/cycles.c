/* SPDX-License-Identifier: Apache-2.0
 * A thousand lives of one image leave nothing behind: cycles IMAGE [CONF-FILE]
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVES = 1000, WARM_UP = 50 };

static char *slurp(const char *path) {
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  fseek(file, 0, SEEK_END);
  size_t len = (size_t)ftell(file);
  rewind(file);
  char *bytes = calloc(1, len + 1);
  CHECK(fread(bytes, 1, len, file) == len);
  fclose(file);
  return bytes;
}

static void live_once(fake *f, const char *image) {
  CHECK(fake_load(f, image) == MARTLET_OK);
  fake_auth(f, (fake_client){"c1", "alice", "secret", "192.0.2.7:5"});
  fake_acl(f, (fake_client){"c1", "alice", NULL, "192.0.2.7:5"}, MARTLET_ACL_SUBSCRIBE, "a/#");
  fake_message(f, MARTLET_HOOK_MESSAGE_PUBLISH, "sensor/1", "21", NULL, 0);
  fake_client_hook(f, MARTLET_HOOK_CLIENT_CONNECTED, "c1", 0);
  CHECK(fake_unload(f) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  char *conf = argc > 2 ? slurp(argv[2]) : strdup("");
  fake *f = fake_new(conf);
  for (int i = 0; i < WARM_UP; i++) live_once(f, argv[1]);
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < LIVES; i++) live_once(f, argv[1]);
  size_t after = mallinfo2().uordblks;
  double growth = ((double)after - (double)before) / LIVES;
  printf("%s: %d lives, %.1f bytes left by each\n", strrchr(argv[1], '/') + 1, LIVES, growth);
  CHECK(growth <= FAKE_LIFE_LEAVES);
  fake_free(f);
  free(conf);
  return 0;
}
