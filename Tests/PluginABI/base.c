/* SPDX-License-Identifier: Apache-2.0
 * The smallest plugin: logs its start, its stop and its end. AFTER and NEEDS come from the command line; NO_START leaves
 * start out. */
#include "abi.h"

typedef struct { const martlet_host *h; } me;

static void say(const me *m, const char *what) {
  GET(m->h, log, MARTLET_EXT_LOG)->write(m->h, MARTLET_LOG_INFO, text(what), 0);
}

static martlet_status start(void *state) {
  say(state, "start " VERSION);
  return MARTLET_OK;
}
static martlet_status stop(void *state) {
  say(state, "stop " VERSION);
  return MARTLET_OK;
}
static void destroy(void *state) {
  say(state, "destroy " VERSION);
  free(state);
}
static martlet_status create(const martlet_host *h, martlet_plugin *out) {
  me *m = calloc(1, sizeof *m);
  m->h = h;
  out->state = m;
#ifdef NO_START
  (void)start;
#else
  out->start = start;
#endif
  out->stop = stop;
  out->destroy = destroy;
  return MARTLET_OK;
}

#ifdef NEEDS
static const char *const needs[] = {NEEDS, NULL};
#else
#  define needs NULL
#endif
#ifdef AFTER
static const char *const after[] = {AFTER, NULL};
#else
#  define after NULL
#endif
ENTRY_NEEDS(create, needs, after)
