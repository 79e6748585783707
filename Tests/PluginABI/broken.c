/* SPDX-License-Identifier: Apache-2.0
 * Entries that must be refused: compile with one of SIZE, MAJOR, OTHER_ID, NO_ENTRY, NULL_ENTRY, NO_CREATE,
 * CREATE_FAILS, NO_STOP, UNDEFINED. */
#include "abi.h"

static martlet_status start(void *state) { (void)state; return MARTLET_OK; }
static martlet_status stop(void *state) { (void)state; return MARTLET_OK; }
static void destroy(void *state) { (void)state; }
#ifdef UNDEFINED
void a_function_that_exists_nowhere(void);
#endif
static martlet_status create(const martlet_host *h, martlet_plugin *out) {
#ifdef CREATE_FAILS
  fail(h, MARTLET_E_IO, "the licence server does not answer");
  return MARTLET_E_IO;
#endif
#ifdef CREATE_MUTE
  return MARTLET_E_NOMEM;
#endif
#ifdef UNDEFINED
  a_function_that_exists_nowhere();
#endif
  (void)h;
  out->start = start;
  out->destroy = destroy;
#ifndef NO_STOP
  out->stop = stop;
#endif
  return MARTLET_OK;
}

#ifndef SIZE
#  define SIZE sizeof(martlet_entry)
#endif
#ifndef MAJOR
#  define MAJOR MARTLET_ABI_MAJOR
#endif
#ifdef OTHER_ID
#  undef ID
#  define ID OTHER_ID
#endif
#ifdef NO_ENTRY
#  define martlet_plugin_entry another_function
const martlet_entry *another_function(void);
#endif
MARTLET_EXPORT const martlet_entry *martlet_plugin_entry(void) {
#ifdef NULL_ENTRY
  return NULL;
#else
  static const martlet_entry entry = {SIZE, MAJOR, 0, 0, ID, VERSION, "Broken", NULL, NULL,
#  ifdef NO_CREATE
                                      NULL
#  else
                                      create
#  endif
  };
  return &entry;
#endif
}
#if defined(NULL_ENTRY) || defined(NO_CREATE)
martlet_status (*unused)(const martlet_host *, martlet_plugin *) = create;
#endif
