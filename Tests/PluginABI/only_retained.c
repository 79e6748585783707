/* SPDX-License-Identifier: Apache-2.0
 * Hooks that want messages with the retain flag alone. "turn on" adds one before them that sees every message: it sets
 * the flag of those on "turned", and answers never for those on "never". */
#include "abi.h"

typedef struct {
  const martlet_host *h;
  const martlet_hooks_v1 *hooks;
  const martlet_message_v1 *messages;
  long long published, delivered, filtered;
  martlet_token first;
} me;

static int32_t count(void *counter, martlet_event *ev) {
  (void)ev;
  __atomic_fetch_add((long long *)counter, 1, __ATOMIC_RELAXED);
  return MARTLET_NEXT;
}

static int32_t turn(void *u, martlet_event *ev) {
  me *m = u;
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(ev->msg, &f);
  if (is(f.topic, "never")) return m->hooks->defer(ev, 600000) ? MARTLET_DEFER : MARTLET_NEXT;
  if (!is(f.topic, "turned")) return MARTLET_NEXT;
  f.retain = true;
  martlet_msg *made = m->messages->make(m->h, &f);
  if (made) ev->msg = made;
  return MARTLET_NEXT;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(argv[1], "on"))
    return m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 9, turn, text(""), m, &m->first);
  if (argc == 2 && is(argv[1], "off")) return m->hooks->remove(m->h, m->first);
  if (argc == 2 && is(argv[1], "bad")) {
    int32_t no_message = MARTLET_HOOK_CLIENT_CONNECTED | MARTLET_HOOK_RETAIN_ONLY;
    out_number(out, "client", m->hooks->add(m->h, no_message, 0, count, text(""), &m->published, NULL));
    out_number(out, "bit", m->hooks->add(m->h, 0x200, 0, count, text(""), &m->published, NULL));
    return MARTLET_OK;
  }
  out_number(out, "published", m->published);
  out_number(out, "delivered", m->delivered);
  out_number(out, "filtered", m->filtered);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  m->messages = GET(m->h, message, MARTLET_EXT_MESSAGE);
  int32_t publish = MARTLET_HOOK_MESSAGE_PUBLISH | MARTLET_HOOK_RETAIN_ONLY;
  int32_t delivered = MARTLET_HOOK_MESSAGE_DELIVERED | MARTLET_HOOK_RETAIN_ONLY;
  martlet_status s = m->hooks->add(m->h, publish, 5, count, text(""), &m->published, NULL);
  if (!s) s = m->hooks->add(m->h, publish, 5, count, text("a/+"), &m->filtered, NULL);
  if (!s) s = m->hooks->add(m->h, delivered, 5, count, text(""), &m->delivered, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
