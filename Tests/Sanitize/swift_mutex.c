/* SPDX-License-Identifier: Apache-2.0
 * Preloaded by tools/sanitize thread: tells ThreadSanitizer what Swift's Mutex does where it cannot look.
 *
 * The fast paths of Mutex are inlined into instrumented code. A lock that somebody else holds is handed over by the
 * kernel (FUTEX_UNLOCK_PI) and by libswiftSynchronization, which is not instrumented: without this every hand-over of a
 * contended lock is reported as a race of what the lock guards. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

typedef __attribute__((swiftcall)) void lock_function(uint32_t thread, __attribute__((swift_context)) void *mutex);
typedef __attribute__((swiftcall)) void unlock_function(__attribute__((swift_context)) void *mutex);

static lock_function *real_lock;
static unlock_function *real_unlock;

__attribute__((constructor)) static void find(void) {
  real_lock = (lock_function *)dlsym(RTLD_NEXT, LOCK);
  real_unlock = (unlock_function *)dlsym(RTLD_NEXT, UNLOCK);
}

lock_function lock_slow __asm__(LOCK);
unlock_function unlock_slow __asm__(UNLOCK);

__attribute__((swiftcall)) void lock_slow(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  if (!real_lock) abort();
  real_lock(thread, mutex);
  if (__tsan_acquire) __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void unlock_slow(__attribute__((swift_context)) void *mutex) {
  if (!real_unlock) abort();
  if (__tsan_release) __tsan_release(mutex);
  real_unlock(mutex);
}
