/* SPDX-License-Identifier: Apache-2.0
 * martlet.ctl/1: echo, a failure with and without a sentence, wrong use, much output, kept arguments. */
#include "abi.h"

typedef struct { const martlet_host *h; const uint8_t *kept; } me;

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc < 2) return MARTLET_E_INVAL;
  if (is(a[1], "echo")) {
    for (size_t i = 2; i < argc; i++) {
      out->print(out->impl, a[i]);
      out->print(out->impl, text("|"));
    }
    return MARTLET_OK;
  }
  if (is(a[1], "fail")) {
    fail(m->h, MARTLET_E_IO, "the disk is on fire");
    return MARTLET_E_IO;
  }
  if (is(a[1], "mute")) return MARTLET_E_TIMEOUT;
  if (is(a[1], "flood")) {
    static char block[65536];
    memset(block, 'x', sizeof block);
    martlet_bytes b = {(const uint8_t *)block, sizeof block};
    for (int i = 0; i < 1024; i++) out->print(out->impl, b);
    return MARTLET_OK;
  }
  if (is(a[1], "taken")) return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, "plugins", NULL, 0, command, m, NULL);
  return MARTLET_E_INVAL;
}

static martlet_status start(void *state) {
  me *m = state;
  static const martlet_ctl_usage usage[] = {{ID " echo <Word>", "Say it again"}, {ID " fail", "Fail"}};
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, usage, 2, command, m, NULL);
}

LIFE(start)
ENTRY(create)
