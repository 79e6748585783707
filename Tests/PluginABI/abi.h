/* SPDX-License-Identifier: Apache-2.0
 * What every tiny plugin here shares: an instance without globals, an entry, and printing for its ctl command. */
#ifndef ABI_H
#define ABI_H
#include <martlet/martlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ID
#  define ID "base"
#endif
#ifndef VERSION
#  define VERSION "1.0.0"
#endif

static inline martlet_bytes text(const char *s) {
  martlet_bytes b = {(const uint8_t *)s, strlen(s)};
  return b;
}

static inline void out_line(martlet_ctl_out *out, const char *s) {
  out->print(out->impl, text(s));
  out->print(out->impl, text("\n"));
}

static inline void out_number(martlet_ctl_out *out, const char *key, long long value) {
  char line[128];
  snprintf(line, sizeof line, "%s=%lld", key, value);
  out_line(out, line);
}

static inline void fail(const martlet_host *h, martlet_status code, const char *why) { h->set_error(h, code, text(why)); }

#define GET(h, NAME, ID_) ((const martlet_##NAME##_v1 *)(h)->get_extension(h, ID_))

/* Compares one argument of a command with a word. */
static inline bool is(martlet_bytes b, const char *word) { return b.len == strlen(word) && memcmp(b.ptr, word, b.len) == 0; }

#define ENTRY_NEEDS(CREATE, NEEDS, AFTER)                                                                       \
  MARTLET_EXPORT const martlet_entry *martlet_plugin_entry(void) {                                             \
    static const martlet_entry entry = {sizeof entry, MARTLET_ABI_MAJOR, MARTLET_ABI_MINOR, MARTLET_PF_NONE,   \
                                        ID, VERSION, "A plugin for a test", NEEDS, AFTER, CREATE};             \
    return &entry;                                                                                              \
  }
#define ENTRY(CREATE) ENTRY_NEEDS(CREATE, NULL, NULL)

/* A plugin of one struct `me` with the members `h` and whatever it likes; defines create, stop and destroy. */
#define LIFE(START)                                                                                             \
  static martlet_status stop(void *state) { (void)state; return MARTLET_OK; }                                  \
  static void destroy(void *state) { free(state); }                                                            \
  static martlet_status create(const martlet_host *h, martlet_plugin *out) {                                    \
    me *m = calloc(1, sizeof *m);                                                                               \
    if (!m) return MARTLET_E_NOMEM;                                                                             \
    m->h = h;                                                                                                   \
    out->state = m;                                                                                             \
    out->start = START;                                                                                         \
    out->stop = stop;                                                                                           \
    out->destroy = destroy;                                                                                     \
    return MARTLET_OK;                                                                                          \
  }
#endif
