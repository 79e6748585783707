/* SPDX-License-Identifier: Apache-2.0
 * martlet.psk/1: two functions, the first knows "dev-1", the second everybody; "long" answers with more than its room. */
#include "abi.h"

typedef struct { const martlet_host *h; size_t room; } me;

static size_t narrow(void *u, martlet_bytes identity, uint8_t *key, size_t cap) {
  me *m = u;
  m->room = cap;
  if (is(identity, "long")) return cap + 1;
  if (!is(identity, "dev-1")) return 0;
  memset(key, 0xA1, 32);
  return 32;
}

static size_t wide(void *u, martlet_bytes identity, uint8_t *key, size_t cap) {
  (void)u, (void)cap;
  memset(key, (uint8_t)identity.len, 4);
  return 4;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv;
  if (argc > 1) return GET(m->h, psk, MARTLET_EXT_PSK)->add(m->h, 1, wide, m, NULL);
  out_number(out, "room", (long long)m->room);
  out_number(out, "null", GET(m->h, psk, MARTLET_EXT_PSK)->add(m->h, 1, NULL, m, NULL));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  martlet_status s = GET(m->h, psk, MARTLET_EXT_PSK)->add(m->h, 9, narrow, m, NULL);
  return s ? s : GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
}

LIFE(start)
ENTRY(create)
