/* SPDX-License-Identifier: Apache-2.0
 * What the plugin host needs from C: pointers that Swift assumes to be there, the dynamic section of a loaded image,
 * and libffi. */
#ifndef CPLUGINHOST_H
#define CPLUGINHOST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <martlet/martlet.h>

/* ---- what a plugin gave us: Swift takes a _Nonnull pointer at its word, a broken plugin does not keep it ---- */

/** The first required pointer that is missing, as a word for a sentence; NULL when all are there. */
const char *_Nullable cph_entry_missing(const martlet_entry *_Nonnull entry);
const char *_Nullable cph_plugin_missing(const martlet_plugin *_Nonnull plugin);
/** The same for what reload asks of a plugin. */
bool cph_upgrade_complete(const martlet_upgrade_v1 *_Nonnull table);
/** NULL-terminated list; NULL list or end gives NULL. */
const char *_Nullable cph_list_at(const char *_Nullable const *_Nullable list, size_t index);

/** Calls dlsym's result as the entry function. */
const martlet_entry *_Nullable cph_call_entry(void *_Nonnull symbol);

/* ---- the image ------------------------------------------------------------------------------------------------ */

/** Whether the loaded image itself lists a library whose name begins with `prefix`. */
bool cph_image_needs(void *_Nonnull handle, const char *_Nonnull prefix);

/** RTLD_NOLOAD | RTLD_NOW: the image of that path if it is mapped. */
void *_Nullable cph_dlopen_resident(const char *_Nonnull path);
/** Pins a loaded image for the life of the process. */
bool cph_pin(const char *_Nonnull path);

/* ---- calls by signature ------------------------------------------------------------------------------------------ */

typedef struct cph_signature cph_signature;
/** result: one of v i l d b p s; arguments: n letters of i l d b p s. NULL when a letter is unknown or n too large. */
cph_signature *_Nullable cph_signature_make(char result, const char *_Nonnull arguments, size_t n);
void cph_signature_free(cph_signature *_Nonnull signature);
/** fn(user, arguments...). The result is stored when there is one and `result` is not NULL. */
void cph_call(cph_signature *_Nonnull signature, void (*_Nonnull fn)(void), void *_Nullable user,
              const martlet_value *_Nullable arguments, martlet_value *_Nullable result);
enum { CPH_MAX_ARGUMENTS = 16 };

/* ---- the ctl socket: Swift's Glibc has no SO_PEERCRED structure ---------------------------------------------------- */

/** The user id of the other end of a unix socket, or -1. */
int64_t cph_peer_uid(int fd);
#endif
