/* SPDX-License-Identifier: Apache-2.0
 * What Embedded Swift cannot say by itself: locks, clocks, files, and static storage for the entry tables.
 */
#ifndef CPLUGINKIT_H
#define CPLUGINKIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#define PLUGINKIT_OPT _Nullable
#define PLUGINKIT_NN _Nonnull
#else
#define PLUGINKIT_OPT
#define PLUGINKIT_NN
#endif

enum { PLUGINKIT_ENTRY_BYTES = 256, PLUGINKIT_UPGRADE_BYTES = 64, PLUGINKIT_IDS = 32 };

/** The image's static tables. They live in .bss, so nothing is left on the heap when the image is unmapped. */
void *pluginkit_entry_storage(void);
void *pluginkit_upgrade_storage(void);
/** PLUGINKIT_IDS pointers each; the last stays NULL. */
const char *PLUGINKIT_OPT *PLUGINKIT_NN pluginkit_needs_storage(void);
const char *PLUGINKIT_OPT *PLUGINKIT_NN pluginkit_after_storage(void);

typedef struct pluginkit_lock pluginkit_lock;
pluginkit_lock *pluginkit_lock_new(void);
void pluginkit_lock_free(pluginkit_lock *lock);
void pluginkit_lock_acquire(pluginkit_lock *lock);
void pluginkit_lock_release(pluginkit_lock *lock);

typedef struct pluginkit_rwlock pluginkit_rwlock;
pluginkit_rwlock *pluginkit_rwlock_new(void);
void pluginkit_rwlock_free(pluginkit_rwlock *lock);
void pluginkit_rwlock_read(pluginkit_rwlock *lock);
void pluginkit_rwlock_write(pluginkit_rwlock *lock);
void pluginkit_rwlock_release(pluginkit_rwlock *lock);

/** Milliseconds of the monotonic clock. */
int64_t pluginkit_monotonic_ms(void);
/** Milliseconds since 1970. */
int64_t pluginkit_unix_ms(void);

/** The whole file, at most `limit` bytes, in memory for pluginkit_free. Returns 0 or an errno; EFBIG: it is longer. */
int pluginkit_read_file(const char *path, size_t limit, uint8_t *PLUGINKIT_OPT *PLUGINKIT_NN out, size_t *len);
/** The same of a file with secrets: EPERM when others than its owner may read or write it. */
int pluginkit_read_secret(const char *path, size_t limit, uint8_t *PLUGINKIT_OPT *PLUGINKIT_NN out, size_t *len);
/** Overwrites memory that held a secret; the compiler does not leave it out. */
void pluginkit_wipe(void *memory, size_t count);
void pluginkit_free(void *PLUGINKIT_OPT memory);
/** "No such file or directory" for an errno. The text may or may not be in buffer. */
const char *pluginkit_error_text(int error, char *buffer, size_t size);

/** Address text, "192.0.2.7" or "2001:db8::1", as 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; 4, 6, or 0 when
 *  it is neither. An IPv4-mapped IPv6 address counts as 4. */
int pluginkit_parse_ip(const uint8_t *text, size_t len, uint8_t *out16);

/** The same for "192.0.2.7:51234" or "192.0.2.7", in one pass and without a copy: 4, or 0 for any other text, which may
 *  still hold an address that pluginkit_parse_ip knows. */
int pluginkit_parse_peer_v4(const uint8_t *text, size_t len, uint8_t *out16);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
#endif
