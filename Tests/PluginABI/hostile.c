/* SPDX-License-Identifier: Apache-2.0
 * A plugin that loads and then misbehaves, one way per macro:
 *   HALFWAY      registers one of everything, submits tasks, then fails its start
 *   FORGETS      registers one of everything and removes nothing
 *   WRONG_THREAD calls control-thread functions from a loop and from a thread of its own
 *   BLOCKS       sleeps on a loop
 *   NEVER_RESTS  stop says busy and stopped() never comes
 *   RESTS_LATE   stop says busy; a thread calls stopped() after its own control-thread task has run
 *   OUTLIVES     resident, and a thread of it calls the host after destroy; reports through a pipe
 *   BAD_VERDICT  a hook answers 99 */
#include "abi.h"
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

typedef struct { const martlet_host *h; pthread_t thread; int results[8]; int done; } me;

static int32_t hook(void *u, martlet_event *ev) {
  (void)u;
  (void)ev;
#ifdef BLOCKS
  struct timespec t = {0, 30000000};
  nanosleep(&t, NULL);
#endif
#ifdef BAD_VERDICT
  return 99;
#endif
  return MARTLET_NEXT;
}
static void task(void *u) { __atomic_fetch_add(&((me *)u)->done, 1, __ATOMIC_SEQ_CST); }
static void block(void *u) {
  (void)u;
  struct timespec t = {0, 30000000};
  nanosleep(&t, NULL);
}
static martlet_status command(void *u, const martlet_bytes *a, size_t n, martlet_ctl_out *out);
static void deliver(void *u, const martlet_msg *m, martlet_bytes f) { (void)u; (void)m; (void)f; }
static int32_t auth(void *u, const martlet_auth_req *q, martlet_auth_result *r) { (void)u; (void)q; (void)r; return MARTLET_IGNORE; }
static int32_t acl(void *u, const martlet_acl_req *q) { (void)u; (void)q; return MARTLET_IGNORE; }
static int32_t dyn(void *u) { (void)u; return 1; }

static martlet_status everything(me *m) {
  const martlet_host *h = m->h;
  const martlet_exec_v1 *exec = GET(h, exec, MARTLET_EXT_EXEC);
  martlet_token t;
  martlet_status s = GET(h, hooks, MARTLET_EXT_HOOKS)->add(h, MARTLET_HOOK_MESSAGE_PUBLISH, 1, hook, text("#"), m, NULL);
  if (!s) s = GET(h, auth, MARTLET_EXT_AUTH)->add(h, 1, auth, m, NULL);
  if (!s) s = GET(h, acl, MARTLET_EXT_ACL)->add(h, 1, acl, m, NULL);
  if (!s) s = GET(h, pubsub, MARTLET_EXT_PUBSUB)->subscribe(h, text("x"), 0, deliver, m, NULL);
  if (!s) s = exec->timer(h, MARTLET_ON_MAIN, 0, 1, task, m, NULL);
  if (!s) s = exec->timer(h, 0, 0, 1, task, m, NULL);
  for (int i = 0; i < 20 && !s; i++) {
    s = exec->on_main(h, task, m);
    if (!s) s = exec->on_loop(h, (uint32_t)i % 2, task, m);
    if (!s) s = exec->blocking(h, task, m);
  }
  if (!s) s = GET(h, metrics, MARTLET_EXT_METRICS)->define(h, MARTLET_GAUGE, "hostile/gauge", "", &t);
  GET(h, alarm, MARTLET_EXT_ALARM)->raise(h, text("hostile"), 0, text("t"), text("s"));
  if (!s) s = GET(h, service, MARTLET_EXT_SERVICE)->provide(h, "hostile/1", m, NULL);
  if (!s) s = GET(h, dynamic, MARTLET_EXT_DYNAMIC)->define(h, "hostile.f", "i()", (void (*)(void))dyn, m, NULL);
  if (!s) s = GET(h, ctl, MARTLET_EXT_CTL)->command(h, "hostile", NULL, 0, command, m, NULL);
  return s;
}

static void trespass(me *m, int at) {
  const martlet_host *h = m->h;
  int64_t value;
  m->results[at] = GET(h, hooks, MARTLET_EXT_HOOKS)->add(h, 0, 0, hook, text(""), m, NULL);
  m->results[at + 1] = GET(h, config, MARTLET_EXT_CONFIG)->get_int(h, "a", &value);
  m->results[at + 2] = GET(h, exec, MARTLET_EXT_EXEC)->timer(h, -1, 1, 1, task, m, NULL);
  m->results[at + 3] = GET(h, kv, MARTLET_EXT_KV)->put(h, text("t"), text("k"), text("v"));
  __atomic_fetch_add(&m->done, 1, __ATOMIC_SEQ_CST);
}
static void trespass_on_loop(void *u) { trespass(u, 0); }
static void *trespass_on_thread(void *u) {
  trespass(u, 4);
  return NULL;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(a[1], "block")) return GET(m->h, exec, MARTLET_EXT_EXEC)->on_loop(m->h, 0, block, m);
  out_number(out, "done", __atomic_load_n(&m->done, __ATOMIC_SEQ_CST));
  for (int i = 0; i < 8; i++) out_number(out, "result", m->results[i]);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
#if defined(HALFWAY) || defined(FORGETS)
  martlet_status s = everything(m);
  if (s) return s;
#  ifdef HALFWAY
  fail(m->h, MARTLET_E_IO, "the second half of the start failed");
  return MARTLET_E_IO;
#  endif
#elif defined(WRONG_THREAD)
  GET(m->h, exec, MARTLET_EXT_EXEC)->on_loop(m->h, 0, trespass_on_loop, m);
  pthread_create(&m->thread, NULL, trespass_on_thread, m);
#endif
#if defined(BLOCKS) || defined(BAD_VERDICT)
  GET(m->h, hooks, MARTLET_EXT_HOOKS)->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 1, hook, text(""), m, NULL);
#endif
#ifndef FORGETS
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, "hostile", NULL, 0, command, m, NULL);
#endif
  return MARTLET_OK;
}

#ifdef RESTS_LATE
static void say_stopped(void *u) { ((me *)u)->h->stopped(((me *)u)->h); }
static void *finish(void *u) {
  me *m = u;
  struct timespec t = {0, 20000000};
  nanosleep(&t, NULL);
  GET(m->h, exec, MARTLET_EXT_EXEC)->on_main(m->h, say_stopped, m);
  return NULL;
}
#endif
#ifdef OUTLIVES
static void *haunt(void *u) {
  me m = *(me *)u;
  free(u);
  char c;
  int in = open(IN_PIPE, O_RDONLY), out = open(OUT_PIPE, O_WRONLY);
  if (read(in, &c, 1) != 1) return NULL;
  martlet_auth_result r = {.size = sizeof r, .verdict = MARTLET_ALLOW};
  int8_t results[5] = {
    (int8_t)GET(m.h, auth, MARTLET_EXT_AUTH)->answer(m.h, 1, &r),
    (int8_t)GET(m.h, exec, MARTLET_EXT_EXEC)->on_main(m.h, task, &m),
    (int8_t)GET(m.h, exec, MARTLET_EXT_EXEC)->blocking(m.h, task, &m),
    (int8_t)GET(m.h, kv, MARTLET_EXT_KV)->put(m.h, text("t"), text("k"), text("v")),
    (int8_t)GET(m.h, hooks, MARTLET_EXT_HOOKS)->resume(m.h, 1, MARTLET_NEXT, NULL)};
  if (write(out, results, 5) != 5) return NULL;
  close(in);
  close(out);
  return NULL;
}
#endif

static martlet_status stop(void *state) {
  me *m = state;
#ifdef WRONG_THREAD
  pthread_join(m->thread, NULL);
#endif
#ifdef NEVER_RESTS
  return MARTLET_E_BUSY;
#endif
#ifdef RESTS_LATE
  pthread_create(&m->thread, NULL, finish, m);
  return MARTLET_E_BUSY;
#endif
  (void)m;
  return MARTLET_OK;
}
static void destroy(void *state) {
  me *m = state;
#ifdef RESTS_LATE
  pthread_join(m->thread, NULL);
#endif
#ifdef OUTLIVES
  me *copy = malloc(sizeof *copy);
  *copy = *m;
  pthread_t t;
  pthread_create(&t, NULL, haunt, copy);
  pthread_detach(t);
#endif
  free(m);
}
static martlet_status create(const martlet_host *h, martlet_plugin *out) {
  me *m = calloc(1, sizeof *m);
  m->h = h;
  out->state = m;
  out->start = start;
  out->stop = stop;
  out->destroy = destroy;
  return MARTLET_OK;
}
MARTLET_EXPORT const martlet_entry *martlet_plugin_entry(void) {
#ifdef OUTLIVES
#  define FLAGS MARTLET_PF_RESIDENT
#else
#  define FLAGS 0
#endif
  static const martlet_entry entry = {sizeof entry, MARTLET_ABI_MAJOR, 0, FLAGS, ID, VERSION, "Hostile", NULL, NULL, create};
  return &entry;
}
