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

/** A lock where a waiting writer goes before new readers. A reader must not lock twice. */
static inline void clmdb_rwlock_init(pthread_rwlock_t *lock) {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, 2 /* PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP */);
  pthread_rwlock_init(lock, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

static inline void clmdb_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Holds are about a microsecond, going to sleep and waking up costs ten: so try a while before that. */
enum { CLMDB_SPINS = 400 };

static inline void clmdb_rwlock_write(pthread_rwlock_t *lock) {
  for (int i = 0; i < CLMDB_SPINS; i++) {
    if (pthread_rwlock_trywrlock(lock) == 0) return;
    clmdb_relax();
  }
  pthread_rwlock_wrlock(lock);
}

static inline void clmdb_rwlock_read(pthread_rwlock_t *lock) {
  for (int i = 0; i < CLMDB_SPINS; i++) {
    if (pthread_rwlock_tryrdlock(lock) == 0) return;
    clmdb_relax();
  }
  pthread_rwlock_rdlock(lock);
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
