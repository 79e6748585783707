/* SPDX-License-Identifier: Apache-2.0
 * One of several plugins that do what the names say: built with RANK 0, 1 ... it joins auth, acl, message.publish and
 * client.subscribe with the priority 100 - RANK, and reads two letters of its own, at 2 + 4 * RANK of a topic or filter
 * and of a client id: what to decide and how. See 33_chains_by_chance.py. The next two are for its hooks. */
#include "abi.h"

enum { ACL = 2 + 4 * RANK, HOOK = ACL + 2 };

typedef struct {
  const martlet_host *h;
  const martlet_acl_v1 *acl;
  const martlet_auth_v1 *auth;
  const martlet_hooks_v1 *hooks;
  const martlet_message_v1 *messages;
  const martlet_exec_v1 *exec;
} me;
typedef struct { me *m; martlet_deferred id; int32_t verdict; martlet_msg *replacement; char kind; } job;

static void give(void *u) {
  job *j = u;
  martlet_auth_result r = {.size = sizeof r, .verdict = j->verdict};
  if (j->kind == 'a') j->m->acl->answer(j->m->h, j->id, j->verdict);
  if (j->kind == 'h') j->m->hooks->resume(j->m->h, j->id, j->verdict, j->replacement);
  if (j->kind == 'u') j->m->auth->answer(j->m->h, j->id, &r);
  /* A second one changes nothing. */
  if (j->kind == 'a') j->m->acl->answer(j->m->h, j->id, MARTLET_DENY);
  if (j->kind == 'h') j->m->hooks->resume(j->m->h, j->id, MARTLET_STOP, NULL);
  free(j);
}

static void answer(me *m, char how, job one) {
  job *j = malloc(sizeof *j);
  *j = one;
  j->m = m;
  if (how == 'i') give(j);
  else if (how == 'l') m->exec->on_loop(m->h, (uint32_t)m->exec->current(m->h), give, j);
  else if (how == 'o') m->exec->on_loop(m->h, (uint32_t)(m->exec->current(m->h) + 1) % m->exec->loop_count(m->h), give, j);
  else if (m->exec->blocking(m->h, give, j) != MARTLET_OK) give(j);
}

static char at(martlet_bytes name, size_t i, char otherwise) { return i < name.len ? (char)name.ptr[i] : otherwise; }

/* Without the mountpoint "q/". */
static martlet_bytes own(martlet_bytes t) {
  bool isMounted = t.len > 2 && t.ptr[0] == 'q';
  return isMounted ? (martlet_bytes){t.ptr + 2, t.len - 2} : t;
}

static int32_t verdict_of(char what) {
  return what == 'a' ? MARTLET_ALLOW : what == 'd' ? MARTLET_DENY : what == 'e' ? MARTLET_ERROR : MARTLET_IGNORE;
}

static int32_t check(void *u, const martlet_acl_req *req) {
  me *m = u;
  char how = at(req->topic, ACL + 1, 's');
  int32_t verdict = verdict_of(at(req->topic, ACL, 'i'));
  if (how == 's') return verdict;
  martlet_deferred id = m->acl->defer(req, 0);
  if (how == 'x') return verdict; /* announced, and then decided at once */
  if (id == 0) return MARTLET_ERROR;
  answer(m, how, (job){.id = id, .verdict = verdict, .kind = 'a'});
  return MARTLET_PENDING;
}

static int32_t enter(void *u, const martlet_auth_req *req, martlet_auth_result *out) {
  me *m = u;
  (void)out;
  char what = at(req->clientid, ACL, 'i'), how = at(req->clientid, ACL + 1, 's');
  int32_t verdict = verdict_of(what);
  if (what == 'c' && req->auth_method.len > 0) verdict = req->step < 2 ? MARTLET_CONTINUE : MARTLET_ALLOW;
  if (how == 's') return verdict;
  martlet_deferred id = m->auth->defer(req, 0);
  if (how == 'x') return verdict;
  if (id == 0) return MARTLET_ERROR;
  answer(m, how, (job){.id = id, .verdict = verdict, .kind = 'u'});
  return MARTLET_PENDING;
}

/* The message with RANK behind its payload; 't' moves it from m... to x... as well. */
static martlet_msg *changed(me *m, const martlet_msg *msg, char what) {
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(msg, &f);
  uint8_t *payload = malloc(f.payload.len + 1), topic[512];
  memcpy(payload, f.payload.ptr, f.payload.len);
  payload[f.payload.len] = '0' + RANK;
  memcpy(topic, f.topic.ptr, f.topic.len);
  if (what == 't') topic[own(f.topic).ptr - f.topic.ptr] = 'x';
  f.payload = (martlet_bytes){payload, f.payload.len + 1};
  f.topic.ptr = topic;
  martlet_msg *made = m->messages->make(m->h, &f);
  free(payload);
  return made;
}

static int32_t publish(void *u, martlet_event *ev) {
  me *m = u;
  martlet_msg_fields f = {.size = sizeof f};
  m->messages->read(ev->msg, &f);
  martlet_bytes topic = own(f.topic);
  char what = at(topic, HOOK, 'n'), how = at(topic, HOOK + 1, 's');
  martlet_msg *made = what == 'r' || what == 't' ? changed(m, ev->msg, what) : NULL;
  int32_t verdict = what == 's' ? MARTLET_STOP : MARTLET_NEXT;
  martlet_deferred id = how == 's' ? 0 : m->hooks->defer(ev, 0);
  if (id == 0 || how == 'x') {
    if (made) ev->msg = made;
    return verdict;
  }
  if (made && f.payload.len % 2) { /* now, or with the answer */
    ev->msg = made;
    made = NULL;
  }
  answer(m, how, (job){.id = id, .verdict = verdict, .replacement = made, .kind = 'h'});
  return MARTLET_DEFER;
}

static int32_t subscribe(void *u, martlet_event *ev) {
  me *m = u;
  char how = at(ev->subs->topic, HOOK + 1, 's');
  int32_t verdict = MARTLET_NEXT;
  for (size_t i = 0; i < ev->nsubs; i++) {
    martlet_sub *sub = (martlet_sub *)((char *)ev->subs + i * ev->subs->size);
    char what = at(sub->topic, HOOK, 'n');
    if (what == 's') verdict = MARTLET_STOP;
    if (what == 'r' && sub->qos < 3) sub->qos = 0;
    if (what == 'f') sub->qos = 0x97;
    if (what != 't') continue;
    uint8_t topic[512];
    memcpy(topic, sub->topic.ptr, sub->topic.len);
    topic[0] = 'x';
    if (m->hooks->set_topic(ev, i, (martlet_bytes){topic, sub->topic.len}) != MARTLET_OK) abort();
  }
  martlet_deferred id = how == 's' ? 0 : m->hooks->defer(ev, 0);
  if (id == 0 || how == 'x') return verdict;
  answer(m, how, (job){.id = id, .verdict = verdict, .kind = 'h'});
  return MARTLET_DEFER;
}

static martlet_status start(void *state) {
  me *m = state;
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  m->auth = GET(m->h, auth, MARTLET_EXT_AUTH);
  m->hooks = GET(m->h, hooks, MARTLET_EXT_HOOKS);
  m->messages = GET(m->h, message, MARTLET_EXT_MESSAGE);
  m->exec = GET(m->h, exec, MARTLET_EXT_EXEC);
  martlet_status s = m->acl->add(m->h, 100 - RANK, check, m, NULL);
  if (!s) s = m->auth->add(m->h, 100 - RANK, enter, m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 100 - RANK, publish, text(""), m, NULL);
  if (!s) s = m->hooks->add(m->h, MARTLET_HOOK_CLIENT_SUBSCRIBE, 100 - RANK, subscribe, text(""), m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
