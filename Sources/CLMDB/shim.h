/* SPDX-License-Identifier: Apache-2.0
 * LMDB, and the libc that a store in Embedded Swift needs beside it: memory, locks, files.
 */
#ifndef CLMDB_SHIM_H
#define CLMDB_SHIM_H
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* errno and the lock kind are macros and enumerators of anonymous types, which Swift does not see. */
static inline int clmdb_errno(void) { return errno; }

/** Maps a file for reading; NULL with errno set when that fails. The caller unmaps it. */
static inline void *clmdb_map(const char *path, size_t *length) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  struct stat info;
  void *map = MAP_FAILED;
  if (fstat(file, &info) == 0) {
    *length = (size_t)info.st_size;
    map = mmap(NULL, *length, PROT_READ, MAP_SHARED, file, 0);
  }
  int code = errno;
  close(file);
  errno = code;
  return map == MAP_FAILED ? NULL : map;
}

static inline void clmdb_prefetch(const void *address) { __builtin_prefetch(address); }

/** For memory that will be written. */
static inline void clmdb_prefetch_own(const void *address) { __builtin_prefetch(address, 1); }

/** A table of 8-byte slots, a power of two of them. */
typedef struct clmdb_slots {
  uint64_t *_Nullable slots;
  long capacity, count;
} clmdb_slots;

/** Asks for the slot `home` falls on, while others may be putting another table there: then it asks in vain. */
#if defined(__clang__)
__attribute__((no_sanitize("thread")))
#endif
static inline void clmdb_prefetch_slot(const clmdb_slots *_Nonnull table, uint64_t home) {
  const volatile clmdb_slots *now = table;
  __builtin_prefetch(now->slots + (home & (uint64_t)(now->capacity - 1)));
}

/** A lock where a waiting writer goes before new readers. A reader must not lock twice. */
static inline void clmdb_rwlock_init(pthread_rwlock_t *lock) {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, 2 /* PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP */);
  pthread_rwlock_init(lock, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

/** The processor this thread runs on at this moment; 0 when the system does not tell. */
static inline unsigned clmdb_processor(void) {
  extern int sched_getcpu(void);
  int number = sched_getcpu();
  return number < 0 ? 0 : (unsigned)number;
}

static inline unsigned clmdb_processors(void) {
  long count = sysconf(_SC_NPROCESSORS_CONF);
  return count < 1 ? 1 : (unsigned)count;
}

/** A byte that others may be writing at this moment. */
#if defined(__clang__)
__attribute__((no_sanitize("thread")))
#endif
static inline unsigned char clmdb_peek(const void *byte) { return *(const volatile unsigned char *)byte; }

static inline void clmdb_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Holds are about a microsecond, going to sleep and waking up costs ten: so try a while before that. */
enum { CLMDB_SPINS = 400 };

static inline void clmdb_lock(pthread_mutex_t *lock) {
  for (int i = 0; i < CLMDB_SPINS; i++) {
    if (pthread_mutex_trylock(lock) == 0) return;
    clmdb_relax();
  }
  pthread_mutex_lock(lock);
}

/* A pointer that threads change which share a lock: whoever works with it leaves a mark in its place meanwhile. */
#define CLMDB_TAKEN ((void *)1)

static inline void *clmdb_take(void **place) {
  for (int i = 1;; i++) {
    void *pointer = __atomic_exchange_n(place, CLMDB_TAKEN, __ATOMIC_ACQUIRE);
    if (pointer != CLMDB_TAKEN) return pointer;
    /* It takes nanoseconds, unless its thread has lost its processor. */
    if (i % CLMDB_SPINS == 0) sched_yield();
    clmdb_relax();
  }
}

/* Asks for what the pointer at `place` leads to; the mark in its place leads nowhere, which does no harm. */
static inline void clmdb_prefetch_at(void *const *place) { clmdb_prefetch(__atomic_load_n(place, __ATOMIC_RELAXED)); }

static inline void clmdb_put_back(void **place, void *pointer) { __atomic_store_n(place, pointer, __ATOMIC_RELEASE); }
#endif
