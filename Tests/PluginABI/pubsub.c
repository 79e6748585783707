/* SPDX-License-Identifier: Apache-2.0
 * martlet.pubsub/1: a subscription of its own, publishing. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_pubsub_v1 *pubsub; martlet_token token; long got; char last[64]; } me;

static void deliver(void *u, const martlet_msg *msg, martlet_bytes filter) {
  me *m = u;
  (void)filter;
  martlet_msg_fields f = {.size = sizeof f};
  GET(m->h, message, MARTLET_EXT_MESSAGE)->read(msg, &f);
  snprintf(m->last, sizeof m->last, "%.*s", (int)f.payload.len, (const char *)f.payload.ptr);
  m->got++;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 3 && is(argv[1], "publish")) {
    martlet_msg_fields f = {.size = sizeof f, .topic = argv[2], .payload = text("from plugin")};
    martlet_msg *msg = GET(m->h, message, MARTLET_EXT_MESSAGE)->make(m->h, &f);
    return msg ? m->pubsub->publish(m->h, msg, true) : MARTLET_E_INVAL;
  }
  if (argc == 2 && is(argv[1], "unsubscribe")) return m->pubsub->unsubscribe(m->h, m->token);
  out_number(out, "got", m->got);
  out_line(out, m->last);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->pubsub = GET(m->h, pubsub, MARTLET_EXT_PUBSUB);
  martlet_status s = m->pubsub->subscribe(m->h, text("news/#"), 1, deliver, m, &m->token);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
