/* SPDX-License-Identifier: Apache-2.0
 * Decisions of which some come later, from another thread. ACL: a topic that begins with "slow/" gets its answer
 * there, which is forgotten at once if it begins with "slow/forget/", and before the module has said that it comes later if it
 * begins with "slow/forget/early/"; what ends with "no" is denied. Hooks, two in turn:
 * the first puts "new" in place of every message to "both" and "to/N" in place of the Nth filter of a SUBSCRIBE that
 * begins with "from/", with QoS 0, and refuses the filter "never"; the second lets everything pass, later. */
#include "abi.h"
#include <sched.h>

typedef struct {
  const martlet_host *h;
  const martlet_acl_v1 *acl;
  const martlet_hooks_v1 *hooks;
  const martlet_message_v1 *messages;
  long long asked, seen, forgotten;
} me;
typedef struct { me *m; martlet_deferred id; int32_t verdict; bool is_acl, forget; } job;

static void answer(void *u) {
  job *j = u;
  if (j->is_acl) j->m->acl->answer(j->m->h, j->id, j->verdict);
  if (j->forget) {
    j->m->acl->invalidate(j->m->h, 0);
    __atomic_fetch_add(&j->m->forgotten, 1, __ATOMIC_RELEASE);
  }
  if (!j->is_acl) j->m->hooks->resume(j->m->h, j->id, j->verdict, NULL);
  free(j);
}

static void later(me *m, martlet_deferred id, int32_t verdict, bool is_acl, bool forget) {
  job *j = malloc(sizeof *j);
  *j = (job){m, id, verdict, is_acl, forget};
  if (id == 0 || GET(m->h, exec, MARTLET_EXT_EXEC)->blocking(m->h, answer, j) != MARTLET_OK) abort();
}

static bool begins(martlet_bytes t, const char *with) {
  return t.len >= strlen(with) && memcmp(t.ptr, with, strlen(with)) == 0;
}

static int32_t check(void *u, const martlet_acl_req *req) {
  me *m = u;
  __atomic_fetch_add(&m->asked, 1, __ATOMIC_RELAXED);
  bool no = req->topic.len >= 2 && memcmp(req->topic.ptr + req->topic.len - 2, "no", 2) == 0;
  int32_t verdict = no ? MARTLET_DENY : MARTLET_ALLOW;
  if (!begins(req->topic, "slow/")) return verdict;
  long long forgotten = __atomic_load_n(&m->forgotten, __ATOMIC_RELAXED);
  later(m, m->acl->defer(req, 0), verdict, true, begins(req->topic, "slow/forget/"));
  if (begins(req->topic, "slow/forget/early/"))
    while (__atomic_load_n(&m->forgotten, __ATOMIC_ACQUIRE) == forgotten) sched_yield();
  return MARTLET_PENDING;
}

static int32_t change(void *u, martlet_event *ev) {
  me *m = u;
  __atomic_fetch_add(&m->seen, 1, __ATOMIC_RELAXED);
  if (ev->hook == MARTLET_HOOK_MESSAGE_PUBLISH) {
    martlet_msg_fields f = {.size = sizeof f};
    m->messages->read(ev->msg, &f);
    if (!is(f.topic, "both")) return MARTLET_NEXT;
    f.payload = text("new");
    martlet_msg *made = m->messages->make(m->h, &f);
    if (made) ev->msg = made;
    return MARTLET_NEXT;
  }
  for (size_t i = 0; i < ev->nsubs; i++) {
    martlet_sub *sub = (martlet_sub *)((char *)ev->subs + i * ev->subs->size);
    char topic[16];
    snprintf(topic, sizeof topic, "to/%zu", i);
    if (is(sub->topic, "never")) sub->qos = 0x87;
    if (!begins(sub->topic, "from/")) continue;
    if (m->hooks->set_topic(ev, i, text(topic)) != MARTLET_OK) abort();
    sub->qos = 0;
  }
  return MARTLET_NEXT;
}

static int32_t pass(void *u, martlet_event *ev) {
  me *m = u;
  later(m, m->hooks->defer(ev, 0), MARTLET_NEXT, false, false);
  return MARTLET_DEFER;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv, (void)argc;
  out_number(out, "asked", m->asked);
  out_number(out, "seen", m->seen);
  out_number(out, "forgotten", m->forgotten);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  m->messages = GET(m->h, message, MARTLET_EXT_MESSAGE);
  martlet_status s = m->acl->add(m->h, 9, check, m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 9, change, text(""), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 5, pass, text("both"), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_CLIENT_SUBSCRIBE, 9, change, text(""), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_CLIENT_SUBSCRIBE, 5, pass, text(""), m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
