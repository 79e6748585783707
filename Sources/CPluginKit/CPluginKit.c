/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CPluginKit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static _Alignas(16) unsigned char entry_storage[PLUGINKIT_ENTRY_BYTES];
static _Alignas(16) unsigned char upgrade_storage[PLUGINKIT_UPGRADE_BYTES];
static const char *needs_storage[PLUGINKIT_IDS];
static const char *after_storage[PLUGINKIT_IDS];

void *pluginkit_entry_storage(void) { return entry_storage; }
void *pluginkit_upgrade_storage(void) { return upgrade_storage; }
const char **pluginkit_needs_storage(void) { return needs_storage; }
const char **pluginkit_after_storage(void) { return after_storage; }

struct pluginkit_lock { pthread_mutex_t mutex; };
struct pluginkit_rwlock { pthread_rwlock_t lock; };

/* Swift traps on a failed allocation as well; a lock that is not there cannot be reported to anybody. */
static void *must(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

pluginkit_lock *pluginkit_lock_new(void) {
  pluginkit_lock *lock = must(malloc(sizeof *lock));
  pthread_mutex_init(&lock->mutex, NULL);
  return lock;
}
void pluginkit_lock_free(pluginkit_lock *lock) {
  pthread_mutex_destroy(&lock->mutex);
  free(lock);
}
void pluginkit_lock_acquire(pluginkit_lock *lock) { pthread_mutex_lock(&lock->mutex); }
void pluginkit_lock_release(pluginkit_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

pluginkit_rwlock *pluginkit_rwlock_new(void) {
  pluginkit_rwlock *lock = must(malloc(sizeof *lock));
  pthread_rwlock_init(&lock->lock, NULL);
  return lock;
}
void pluginkit_rwlock_free(pluginkit_rwlock *lock) {
  pthread_rwlock_destroy(&lock->lock);
  free(lock);
}
void pluginkit_rwlock_read(pluginkit_rwlock *lock) { pthread_rwlock_rdlock(&lock->lock); }
void pluginkit_rwlock_write(pluginkit_rwlock *lock) { pthread_rwlock_wrlock(&lock->lock); }
void pluginkit_rwlock_release(pluginkit_rwlock *lock) { pthread_rwlock_unlock(&lock->lock); }

static int64_t milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
int64_t pluginkit_monotonic_ms(void) { return milliseconds(CLOCK_MONOTONIC); }
int64_t pluginkit_unix_ms(void) { return milliseconds(CLOCK_REALTIME); }

static int read_all(int fd, size_t limit, uint8_t **out, size_t *len) {
  struct stat info;
  if (fstat(fd, &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (info.st_size < 0 || (uintmax_t)info.st_size > limit) return EFBIG;
  size_t capacity = (size_t)info.st_size + 1, used = 0;
  uint8_t *memory = malloc(capacity);
  if (memory == NULL) return ENOMEM;
  while (used < capacity) {
    ssize_t got = read(fd, memory + used, capacity - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int error = errno;
      free(memory);
      return error;
    }
    if (got == 0) break;
    used += (size_t)got;
  }
  *out = memory;
  *len = used;
  return 0;
}

static int open_and_read(const char *path, mode_t forbidden, size_t limit, uint8_t **out, size_t *len) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  struct stat info;
  int error = fstat(fd, &info) != 0 ? errno : info.st_mode & forbidden ? EPERM : read_all(fd, limit, out, len);
  close(fd);
  return error;
}
int pluginkit_read_file(const char *path, size_t limit, uint8_t **out, size_t *len) {
  return open_and_read(path, 0, limit, out, len);
}
int pluginkit_read_secret(const char *path, size_t limit, uint8_t **out, size_t *len) {
  return open_and_read(path, S_IRWXG | S_IRWXO, limit, out, len);
}
void pluginkit_wipe(void *memory, size_t count) { explicit_bzero(memory, count); }
void pluginkit_free(void *memory) { free(memory); }

const char *pluginkit_error_text(int error, char *buffer, size_t size) { return strerror_r(error, buffer, size); }

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Four numbers, written as inet_pton takes them; how long they are, or 0. */
static size_t parse_quad(const uint8_t *text, size_t len, uint8_t out[4]) {
  size_t at = 0;
  for (int i = 0; i < 4; i++) {
    if (i > 0 && (at >= len || text[at++] != '.')) return 0;
    size_t first = at;
    unsigned value = 0;
    while (at < len && at - first < 3 && text[at] >= '0' && text[at] <= '9') value = value * 10 + text[at++] - '0';
    if (at == first || value > 255 || (text[first] == '0' && at - first > 1)) return 0;
    out[i] = (uint8_t)value;
  }
  return at;
}

int pluginkit_parse_peer_v4(const uint8_t *text, size_t len, uint8_t *out16) {
  size_t at = parse_quad(text, len, out16 + 12);
  if (at == 0) return 0;
  if (at < len && (text[at++] != ':' || at == len)) return 0;
  for (; at < len; at++) {
    if (text[at] < '0' || text[at] > '9') return 0;
  }
  memcpy(out16, mapped, sizeof mapped);
  return 4;
}

int pluginkit_parse_ip(const uint8_t *text, size_t len, uint8_t *out16) {
  char copy[INET6_ADDRSTRLEN];
  if (len == 0 || len >= sizeof copy) return 0;
  memcpy(copy, text, len);
  copy[len] = 0;
  if (inet_pton(AF_INET, copy, out16 + 12) == 1) {
    memcpy(out16, mapped, sizeof mapped);
    return 4;
  }
  if (inet_pton(AF_INET6, copy, out16) != 1) return 0;
  return memcmp(out16, mapped, sizeof mapped) == 0 ? 4 : 6;
}
