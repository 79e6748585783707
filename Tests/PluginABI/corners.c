/* SPDX-License-Identifier: Apache-2.0
 * Corners of the chains, by topic. message.publish, in this order: 9 replaces "double" and moves "away" to "moved/away";
 * 8 replaces "double" again; 7 counts what is in "moved/#", 6 what is in "away"; 5 lets "wait/..." and what says "later"
 * pass later, and "stale" with two answers, of which the second comes too late; it stops "stop", for which it has
 * announced an answer before. 1 counts those of "wait/#" that are not what 9 has seen.
 * ACL: "never/..." gets no answer when it is asked about first, "error/..." that it could not be decided, "slow/..." and
 * "will/..." are allowed later. Auth of clients "once...": the first module ignores later, when the command says "go"
 * if it has said "hold" before; the second takes as many proofs as the command says. */
#include "abi.h"

enum { BIG = 64 << 10 };

typedef struct {
  const martlet_host *h;
  const martlet_acl_v1 *acl;
  const martlet_auth_v1 *auth;
  const martlet_hooks_v1 *hooks;
  const martlet_message_v1 *messages;
  const martlet_exec_v1 *exec;
  long long moved, away, strangers, asked, never, stale, proofs;
  uint64_t id;
  int64_t at;
  martlet_deferred held[8];
  int first, last; /* of what is held: written by clients one after the other */
  bool holds;
  uint8_t big[BIG];
} me;
typedef struct { me *m; martlet_deferred id; char kind; } job;

static martlet_msg *make(me *m, const martlet_msg *of, const char *topic, uint8_t fill) {
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(of, &f);
  if (topic) f.topic = text(topic);
  uint8_t *copy = malloc(BIG);
  memset(copy, fill, BIG);
  if (fill) f.payload = (martlet_bytes){copy, BIG};
  martlet_msg *made = m->messages->make(m->h, &f);
  free(copy);
  return made;
}

static void answer(void *u) {
  job *j = u;
  me *m = j->m;
  martlet_msg_fields f = {.size = sizeof f, .topic = text("stale"), .payload = {m->big, BIG}};
  if (j->kind == 'n') m->hooks->resume(m->h, j->id, MARTLET_NEXT, NULL);
  if (j->kind == 's') {
    m->hooks->resume(m->h, j->id, MARTLET_NEXT, m->messages->make(m->h, &f));
    if (m->hooks->resume(m->h, j->id, MARTLET_NEXT, m->messages->make(m->h, &f)) == MARTLET_E_STALE)
      __atomic_fetch_add(&m->stale, 1, __ATOMIC_RELAXED);
  }
  if (j->kind == 'a') m->acl->answer(m->h, j->id, MARTLET_ALLOW);
  if (j->kind == 'e') m->acl->answer(m->h, j->id, MARTLET_ERROR);
  martlet_auth_result r = {.size = sizeof r, .verdict = MARTLET_IGNORE};
  if (j->kind == 'i') m->auth->answer(m->h, j->id, &r);
  free(j);
}

static void later(me *m, martlet_deferred id, char kind) {
  job *j = malloc(sizeof *j);
  *j = (job){m, id, kind};
  if (id == 0 || m->exec->blocking(m->h, answer, j) != MARTLET_OK) abort();
}

static bool begins(martlet_bytes t, const char *with) {
  return t.len >= strlen(with) && memcmp(t.ptr, with, strlen(with)) == 0;
}

static void add(long long *to) { __atomic_fetch_add(to, 1, __ATOMIC_RELAXED); }

static int32_t nine(void *u, martlet_event *ev) {
  me *m = u;
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(ev->msg, &f);
  m->id = f.id_lo;
  m->at = f.timestamp_ms;
  if (is(f.topic, "double")) ev->msg = make(m, ev->msg, NULL, '9');
  if (is(f.topic, "away")) ev->msg = make(m, ev->msg, "moved/away", 0);
  return MARTLET_NEXT;
}

static int32_t eight(void *u, martlet_event *ev) {
  ev->msg = make(u, ev->msg, NULL, '8');
  return MARTLET_NEXT;
}

static int32_t moved(void *u, martlet_event *ev) {
  (void)ev;
  add(&((me *)u)->moved);
  return MARTLET_NEXT;
}

static int32_t away(void *u, martlet_event *ev) {
  (void)ev;
  add(&((me *)u)->away);
  return MARTLET_NEXT;
}

static int32_t five(void *u, martlet_event *ev) {
  me *m = u;
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(ev->msg, &f);
  bool waits = begins(f.topic, "wait/") || is(f.payload, "later");
  if (is(f.topic, "stop")) {
    if (m->hooks->defer(ev, 0) == 0) abort();
    return MARTLET_STOP;
  }
  if (!waits && !is(f.topic, "stale")) return MARTLET_NEXT;
  later(m, m->hooks->defer(ev, 0), waits ? 'n' : 's');
  return MARTLET_DEFER;
}

static int32_t one(void *u, martlet_event *ev) {
  me *m = u;
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(ev->msg, &f);
  if (f.id_lo != m->id || f.timestamp_ms != m->at) add(&m->strangers);
  return MARTLET_NEXT;
}

static int32_t check(void *u, const martlet_acl_req *req) {
  me *m = u;
  add(&m->asked);
  bool isNever = begins(req->topic, "never/"), isError = begins(req->topic, "error/");
  if (isNever && __atomic_fetch_add(&m->never, 1, __ATOMIC_RELAXED) % 2 == 0)
    return m->acl->defer(req, 0) ? MARTLET_PENDING : MARTLET_ALLOW;
  if (!isError && !begins(req->topic, "slow/") && !begins(req->topic, "will/")) return isNever ? MARTLET_ALLOW : MARTLET_IGNORE;
  later(m, m->acl->defer(req, 0), isError ? 'e' : 'a');
  return MARTLET_PENDING;
}

static int32_t ignore_later(void *u, const martlet_auth_req *req, martlet_auth_result *out) {
  me *m = u;
  (void)out;
  if (!begins(req->clientid, "once")) return MARTLET_IGNORE;
  martlet_deferred id = m->auth->defer(req, 0);
  if (!m->holds) later(m, id, 'i');
  else m->held[__atomic_fetch_add(&m->last, 1, __ATOMIC_RELEASE) % 8] = id;
  return MARTLET_PENDING;
}

static int32_t allow_once(void *u, const martlet_auth_req *req, martlet_auth_result *out) {
  me *m = u;
  (void)out;
  if (!begins(req->clientid, "once")) return MARTLET_IGNORE;
  return __atomic_fetch_sub(&m->proofs, 1, __ATOMIC_RELAXED) > 0 ? MARTLET_ALLOW : MARTLET_DENY;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  martlet_auth_result ignored = {.size = sizeof ignored, .verdict = MARTLET_IGNORE};
  if (argc == 3) m->proofs = argv[2].ptr[0] - '0';
  if (argc == 3) m->holds = is(argv[1], "hold");
  if (argc == 2 && m->auth->answer(m->h, m->held[m->first++ % 8], &ignored) != MARTLET_OK) return MARTLET_E_STALE;
  out_number(out, "moved", m->moved);
  out_number(out, "away", m->away);
  out_number(out, "strangers", m->strangers);
  out_number(out, "asked", m->asked);
  out_number(out, "stale", m->stale);
  out_number(out, "held", m->last - m->first);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  m->auth = GET(m->h, auth, MARTLET_EXT_AUTH);
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  m->messages = GET(m->h, message, MARTLET_EXT_MESSAGE);
  m->exec = GET(m->h, exec, MARTLET_EXT_EXEC);
  const struct { int32_t priority; martlet_hook_fn fn; const char *filter; } hooks[] = {
      {9, nine, ""}, {8, eight, "double"}, {7, moved, "moved/#"}, {6, away, "away"}, {5, five, ""}, {1, one, "wait/#"}};
  for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
    martlet_status s = m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, hooks[i].priority, hooks[i].fn,
                                     text(hooks[i].filter), m, NULL);
    if (s) return s;
  }
  martlet_status s = m->acl->add(m->h, 9, check, m, NULL);
  if (!s) s = m->auth->add(m->h, 9, ignore_later, m, NULL);
  if (!s) s = m->auth->add(m->h, 8, allow_once, m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
