/* SPDX-License-Identifier: Apache-2.0
 * What a plugin may do in the midst of the host's work. Hooks of SUBSCRIBE and UNSUBSCRIBE that edit filters in place:
 * "gone" loses its bytes, "outside" asks for a place before the first. A subscription to "fed" gets a feed of one message
 * that starts a second feed while it is asked for it. */
#include "abi.h"

/* They stay as long as the plugin: what is called too late finds them. */
typedef struct { struct me *m; martlet_session session; int depth; bool first, fed; } feed;
typedef struct me {
  const martlet_host *h;
  const martlet_hooks_v1 *hooks;
  const martlet_message_v1 *messages;
  const martlet_pubsub_v1 *pubsub;
  feed feeds[64];
  size_t begun;
  long long outside, deepest, ends;
} me;

static int32_t edit(void *u, martlet_event *ev) {
  me *m = u;
  for (size_t i = 0; i < ev->nsubs; i++) {
    martlet_sub *sub = (martlet_sub *)((char *)ev->subs + i * ev->subs->size);
    if (is(sub->topic, "outside")) m->outside = m->hooks->set_topic(ev, (size_t)-1, text("x"));
    if (is(sub->topic, "gone")) sub->topic = (martlet_bytes){NULL, 0};
  }
  return MARTLET_NEXT;
}

static martlet_status begin(me *m, martlet_session session, bool first);

static martlet_msg *next(void *u, bool *more) {
  feed *f = u;
  me *m = f->m;
  if (++f->depth > m->deepest) m->deepest = f->depth;
  if (f->first && !f->fed && f->depth == 1) begin(m, f->session, false);
  f->depth--;
  *more = !f->fed;
  if (f->fed) return NULL;
  f->fed = true;
  martlet_msg_fields fields = {.size = sizeof fields, .topic = text("fed"), .payload = text(f->first ? "1" : "2")};
  return m->messages->make(m->h, &fields);
}

static void end(void *u) { ((feed *)u)->m->ends++; }

static martlet_status begin(me *m, martlet_session session, bool first) {
  feed *f = &m->feeds[m->begun++ % 64];
  *f = (feed){.m = m, .session = session, .first = first};
  return m->pubsub->session_feed(m->h, session, &(martlet_feed){.size = sizeof(martlet_feed), .next = next, .end = end, .user = f});
}

static int32_t subscribed(void *u, martlet_event *ev) {
  begin(u, ev->session, true);
  return MARTLET_NEXT;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv, (void)argc;
  out_number(out, "outside", m->outside);
  out_number(out, "deepest", m->deepest);
  out_number(out, "ends", m->ends);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  m->messages = GET(m->h, message, MARTLET_EXT_MESSAGE);
  m->pubsub = GET(m->h, pubsub, MARTLET_EXT_PUBSUB);
  martlet_status s = m->hooks->add(m->h, MARTLET_HOOK_CLIENT_SUBSCRIBE, 0, edit, text(""), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_CLIENT_UNSUBSCRIBE, 0, edit, text(""), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_SESSION_SUBSCRIBED, 0, subscribed, text("+/fed"), m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
