/* SPDX-License-Identifier: Apache-2.0
 * martlet.hooks/1: every hook point, a filter, priorities, a verdict nobody knows, adding and removing while running. */
#include "abi.h"

typedef struct {
  const martlet_host *h;
  const martlet_hooks_v1 *hooks;
  long calls[MARTLET_HOOK_COUNT_V1];
  long filtered, late;
  martlet_token late_token;
} me;

static int32_t seen(void *u, martlet_event *ev) {
  me *m = u;
  __atomic_fetch_add(&m->calls[ev->hook], 1, __ATOMIC_RELAXED); /* clients of several loops at once */
  return MARTLET_NEXT;
}
static int32_t filtered(void *u, martlet_event *ev) {
  (void)ev;
  ((me *)u)->filtered++;
  return MARTLET_NEXT;
}
static int32_t late(void *u, martlet_event *ev) {
  (void)ev;
  ((me *)u)->late++;
  return MARTLET_STOP;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(argv[1], "add"))
    return m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 50, late, text(""), m, &m->late_token);
  if (argc == 2 && is(argv[1], "remove")) return m->hooks->remove(m->h, m->late_token);
  if (argc == 2 && is(argv[1], "bad")) {
    out_number(out, "hook", m->hooks->add(m->h, 99, 0, seen, text(""), m, NULL));
    out_number(out, "filter", m->hooks->add(m->h, 0, 0, seen, text("a/#/b"), m, NULL));
    out_number(out, "null", m->hooks->add(m->h, 0, 0, NULL, text(""), m, NULL));
    return MARTLET_OK;
  }
  if (argc != 1) return MARTLET_E_INVAL;
  long sum = 0;
  for (int i = 0; i < MARTLET_HOOK_COUNT_V1; i++) sum += m->calls[i] > 0;
  out_number(out, "points", sum);
  out_number(out, "publish", m->calls[MARTLET_HOOK_MESSAGE_PUBLISH]);
  out_number(out, "filtered", m->filtered);
  out_number(out, "late", m->late);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  for (int i = 0; i < MARTLET_HOOK_COUNT_V1; i++) {
    martlet_status s = m->hooks->add(m->h, i, 10, seen, text(""), m, NULL);
    if (s) return s;
  }
  martlet_status s = m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 20, filtered, text("a/+/c"), m, NULL);
  if (s) return s;
  static const martlet_ctl_usage usage[] = {{ID, "Show the calls"}};
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, usage, 1, command, m, NULL);
}

LIFE(start)
ENTRY(create)
