/* SPDX-License-Identifier: Apache-2.0
 * auth_psk against the host in miniature: auth_psk IMAGE
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char file[64];
static void write_keys(const char *text, mode_t mode) {
  unlink(file);
  FILE *out = fopen(file, "w");
  CHECK(out != NULL && fputs(text, out) >= 0);
  fclose(out);
  CHECK(chmod(file, mode) == 0);
}
static fake *host_of(void) {
  char conf[256];
  snprintf(conf, sizeof conf, "auth.psk.file = %s\n", file);
  return fake_new(conf);
}
static fake *with_keys(const char *image, const char *keys) {
  write_keys(keys, 0600);
  fake *f = host_of();
  if (fake_load(f, image) != MARTLET_OK) fprintf(stderr, "%s\n", f->error);
  CHECK(f->error[0] == 0);
  return f;
}

static void keys_are_found(const char *image) {
  char longest[600] = "# a comment\n\n  a:b : c:00fF7e  \r\nsensor-1:2b7e151628aed2a6abf7158809cf4f3c\nmax:";
  for (int i = 0; i < MARTLET_PSK_MAX_KEY; i++) strcat(longest, "5A");
  fake *f = with_keys(image, longest);
  uint8_t key[MARTLET_PSK_MAX_KEY];
  CHECK(fake_psk(f, "sensor-1", key) == 16 && key[0] == 0x2b && key[15] == 0x3c);
  CHECK(fake_psk(f, "a:b : c", key) == 3 && key[0] == 0 && key[1] == 0xff && key[2] == 0x7e);
  CHECK(fake_psk(f, "max", key) == MARTLET_PSK_MAX_KEY && key[MARTLET_PSK_MAX_KEY - 1] == 0x5a);
  CHECK(fake_psk(f, "sensor-2", key) == 0 && fake_psk(f, "sensor-", key) == 0 && fake_psk(f, "", key) == 0);
  CHECK(fake_ctl(f, "psk list") == MARTLET_OK && strcmp(f->out, "a:b : c\nmax\nsensor-1\n") == 0);
  CHECK(fake_ctl(f, "psk") == MARTLET_E_INVAL && f->error[0] == 0);
  CHECK(strstr(f->log, "2b7e") == NULL);
  fake_end(f);
}

static void refused(const char *image, const char *keys, mode_t mode, martlet_status status, const char *sentence) {
  char want[512];
  write_keys(keys, mode);
  fake *f = host_of();
  CHECK(fake_load(f, image) == status);
  snprintf(want, sizeof want, "%s:%s", file, sentence);
  if (strcmp(f->error, want) != 0) fprintf(stderr, "got  %s\nwant %s\n", f->error, want);
  CHECK(strcmp(f->error, want) == 0);
  fake_free(f);
}
static void mistakes_are_told_without_the_key(const char *image) {
  char sentence[256];
  snprintf(sentence, sizeof sentence, " others than its owner may read or write it; chmod 600 %s.", file);
  refused(image, "a:00\n", 0644, MARTLET_E_DENIED, sentence);
  refused(image, "a:00\n", 0620, MARTLET_E_DENIED, sentence);
  refused(image, "a:00\nb\n", 0600, MARTLET_E_INVAL, "2: expected IDENTITY:HEXKEY.");
  refused(image, ":00\n", 0600, MARTLET_E_INVAL, "1: an identity has 1 to 255 bytes.");
  refused(image, "a:\n", 0600, MARTLET_E_INVAL, "1: a key has 2 to 128 hexadecimal digits, an even number.");
  refused(image, "a:123\n", 0600, MARTLET_E_INVAL, "1: a key has 2 to 128 hexadecimal digits, an even number.");
  refused(image, "\na:12 4\n", 0600, MARTLET_E_INVAL, "2: a key is written in hexadecimal digits.");
  refused(image, "a:00\na:01\n", 0600, MARTLET_E_INVAL, "2: a has a key already.");
  char longest[300];
  memset(longest, 'i', sizeof longest);
  memcpy(longest + 256, ":00\n", 5);
  refused(image, longest, 0600, MARTLET_E_INVAL, "1: an identity has 1 to 255 bytes.");
}

static void reload(const char *image) {
  fake *f = with_keys(image, "a:01\n");
  uint8_t key[MARTLET_PSK_MAX_KEY];
  write_keys("b:02\n", 0600);
  CHECK(fake_ctl(f, "psk reload") == MARTLET_OK && strcmp(f->out, "1 shared key is loaded.\n") == 0);
  CHECK(fake_psk(f, "a", key) == 0 && fake_psk(f, "b", key) == 1 && key[0] == 2);
  write_keys("c:03\nd\n", 0600);
  CHECK(fake_ctl(f, "psk reload") == MARTLET_E_INVAL && strstr(f->error, ":2: expected") != NULL);
  CHECK(fake_psk(f, "b", key) == 1 && fake_psk(f, "c", key) == 0);
  write_keys("c:03\n", 0600);
  CHECK(fake_change(f, "auth.psk.file", file) == MARTLET_OK && fake_psk(f, "c", key) == 1);
  unlink(file);
  CHECK(fake_ctl(f, "psk reload") == MARTLET_E_IO && strstr(f->error, ": No such file or directory.") != NULL);
  CHECK(fake_psk(f, "c", key) == 1);
  fake_end(f);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  snprintf(file, sizeof file, "/tmp/martlet-psk-%d.conf", (int)getpid());
  keys_are_found(argv[1]);
  mistakes_are_told_without_the_key(argv[1]);
  reload(argv[1]);
  unlink(file);
  puts("auth_psk ok");
  return 0;
}
