/* SPDX-License-Identifier: Apache-2.0
 * martlet.upgrade/1: a count that survives a reload. REFUSE_IMPORT and FAIL_START make a new image that must not win. */
#include "abi.h"

typedef struct { const martlet_host *h; long count; martlet_token counter; } me;

static int32_t seen(void *u, martlet_event *ev) {
  me *m = u;
  (void)ev;
  __atomic_fetch_add(&m->count, 1, __ATOMIC_RELAXED); /* clients of several loops at once */
  return MARTLET_NEXT;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(a[1], "add")) {
    m->count++;
    GET(m->h, metrics, MARTLET_EXT_METRICS)->add(m->h, m->counter, 1);
  }
  out_line(out, VERSION);
  out_number(out, "count", m->count);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  martlet_status s = GET(m->h, hooks, MARTLET_EXT_HOOKS)->add(m->h, MARTLET_HOOK_MESSAGE_PUBLISH, 0, seen, text(""), m, NULL);
  if (!s) s = GET(m->h, metrics, MARTLET_EXT_METRICS)->define(m->h, MARTLET_COUNTER, "upgrade/count", "Counts", &m->counter);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
#ifdef FAIL_START
  fail(m->h, MARTLET_E_IO, "version " VERSION " never starts");
  return MARTLET_E_IO;
#endif
  return s;
}

static martlet_status export_state(void *state, void (*write)(void *, martlet_bytes), void *to) {
  me *m = state;
  martlet_bytes b = {(const uint8_t *)&m->count, sizeof m->count};
  write(to, b);
  return MARTLET_OK;
}
static martlet_status import_state(void *state, martlet_bytes b) {
  me *m = state;
#ifdef REFUSE_IMPORT
  fail(m->h, MARTLET_E_UNSUPPORTED, "the old format is too old");
  return MARTLET_E_UNSUPPORTED;
#endif
  if (b.len != sizeof m->count) return MARTLET_E_INVAL;
  /* A line about a client, which no loop can name while all are held. */
  GET(m->h, log, MARTLET_EXT_LOG)->write(m->h, MARTLET_LOG_ERROR, text("taking over"), 1);
  memcpy(&m->count, b.ptr, b.len);
  return MARTLET_OK;
}
static const void *extension(void *state, const char *id) {
  (void)state;
  static const martlet_upgrade_v1 table = {sizeof table, export_state, import_state};
  return strcmp(id, MARTLET_EXT_UPGRADE) == 0 ? &table : NULL;
}

static martlet_status stop(void *state) { (void)state; return MARTLET_OK; }
static void destroy(void *state) { free(state); }
static martlet_status create(const martlet_host *h, martlet_plugin *out) {
  me *m = calloc(1, sizeof *m);
  m->h = h;
  out->state = m;
  out->start = start;
  out->stop = stop;
  out->destroy = destroy;
  out->get_extension = extension;
  return MARTLET_OK;
}
ENTRY(create)
