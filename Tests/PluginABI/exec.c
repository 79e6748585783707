/* SPDX-License-Identifier: Apache-2.0
 * martlet.exec/1: tasks on every kind of thread, timers and descriptors on the control thread and on loop 1. Counters
 * are atomics because the test reads them from elsewhere. */
#include "abi.h"
#include <fcntl.h>
#include <unistd.h>

typedef struct {
  const martlet_host *h;
  const martlet_exec_v1 *exec;
  int where_main, where_loop, where_blocking;
  int ticks_main, ticks_loop, once, polled, poll_where;
  int pipe[2];
  martlet_token timer, poll;
} me;

#define INC(x) __atomic_fetch_add(&(x), 1, __ATOMIC_SEQ_CST)
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v) __atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)

static void on_main(void *u) { me *m = u; STORE(m->where_main, m->exec->current(m->h)); }
static void on_loop(void *u) { me *m = u; STORE(m->where_loop, m->exec->current(m->h)); }
static void on_pool(void *u) {
  me *m = u;
  STORE(m->where_blocking, m->exec->current(m->h));
  m->exec->on_main(m->h, on_main, m);
}
static void tick_main(void *u) { INC(((me *)u)->ticks_main); }
static void tick_loop(void *u) { INC(((me *)u)->ticks_loop); }
static void once(void *u) { INC(((me *)u)->once); }
static void polled(void *u, int32_t fd, uint32_t events) {
  me *m = u;
  char c;
  if (events & MARTLET_POLL_IN && read(fd, &c, 1) == 1) INC(m->polled);
  STORE(m->poll_where, m->exec->current(m->h));
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(argv[1], "write")) return write(m->pipe[1], "x", 1) == 1 ? MARTLET_OK : MARTLET_E_IO;
  if (argc == 2 && is(argv[1], "cancel")) {
    martlet_status s = m->exec->cancel(m->h, m->timer);
    out_number(out, "again", m->exec->cancel(m->h, m->timer));
    return s;
  }
  if (argc == 2 && is(argv[1], "soon")) { /* over, perhaps, before the registration returns */
    int refused = 0;
    for (int n = 0; n < 8000; n++) refused += m->exec->timer(m->h, 0, 0, 0, once, m, NULL) != MARTLET_OK;
    out_number(out, "refused", refused);
    return MARTLET_OK;
  }
  if (argc == 2 && is(argv[1], "bad")) {
    int file = open("/proc/self/exe", O_RDONLY);
    out_number(out, "loop", m->exec->on_loop(m->h, 99, on_loop, m));
    out_number(out, "where", m->exec->timer(m->h, 99, 1, 0, once, m, NULL));
    out_number(out, "file", m->exec->poll_fd(m->h, -1, file, MARTLET_POLL_IN, polled, m, NULL));
    out_number(out, "closed", m->exec->poll_fd(m->h, -1, 9999, MARTLET_POLL_IN, polled, m, NULL));
    close(file);
    return MARTLET_OK;
  }
  out_number(out, "main", LOAD(m->where_main));
  out_number(out, "loop", LOAD(m->where_loop));
  out_number(out, "blocking", LOAD(m->where_blocking));
  out_number(out, "ticks_main", LOAD(m->ticks_main));
  out_number(out, "ticks_loop", LOAD(m->ticks_loop));
  out_number(out, "once", LOAD(m->once));
  out_number(out, "polled", LOAD(m->polled));
  out_number(out, "poll_where", LOAD(m->poll_where));
  out_number(out, "loops", m->exec->loop_count(m->h));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->exec = GET(m->h, exec, MARTLET_EXT_EXEC);
  m->where_main = m->where_loop = m->where_blocking = m->poll_where = -99;
  if (pipe(m->pipe)) return MARTLET_E_IO;
  martlet_status s = m->exec->on_loop(m->h, 1, on_loop, m);
  if (!s) s = m->exec->blocking(m->h, on_pool, m);
  if (!s) s = m->exec->timer(m->h, MARTLET_ON_MAIN, 1, 10, tick_main, m, &m->timer);
  if (!s) s = m->exec->timer(m->h, 1, 1, 10, tick_loop, m, NULL);
  if (!s) s = m->exec->timer(m->h, 0, 1, 0, once, m, NULL);
  if (!s) s = m->exec->poll_fd(m->h, 1, m->pipe[0], MARTLET_POLL_IN, polled, m, &m->poll);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

static martlet_status stop(void *state) { (void)state; return MARTLET_OK; }
static void destroy(void *state) {
  me *m = state;
  close(m->pipe[0]);
  close(m->pipe[1]);
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
ENTRY(create)
