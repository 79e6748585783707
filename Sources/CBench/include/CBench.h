// SPDX-License-Identifier: Apache-2.0
// What the load generator needs of Linux and cannot say well in Swift: plain atomics and nanosecond waits.
#ifndef CBENCH_H
#define CBENCH_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

/// CLOCK_MONOTONIC in nanoseconds: one clock for every process of this machine, so `pub` and `sub` may be two
/// processes.
static inline uint64_t bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t bench_load(const uint64_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void bench_store(uint64_t *_Nonnull p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }

/// The sequentially consistent ones, for the flags by which a loop goes to sleep and is woken.
static inline uint64_t bench_add(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t bench_swap(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t bench_load_sc(const uint64_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }

/// epoll_wait with a timeout in nanoseconds (negative: for ever). Returns the number of events, 0 when interrupted,
/// -1 on error.
int bench_wait(int epoll, struct epoll_event *_Nonnull events, int max, int64_t nanoseconds);

/// Lets this thread's timers fire when they are due instead of up to 50 µs later.
void bench_exact_timers(void);

/// The posix_spawn flag that gives the child a session of its own; glibc shows it to GNU sources only.
short bench_spawn_session_flag(void);

#endif
