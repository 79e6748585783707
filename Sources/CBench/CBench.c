// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CBench.h"

#include <errno.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>

int bench_wait(int epoll, struct epoll_event *events, int max, int64_t nanoseconds) {
    struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    int n = epoll_pwait2(epoll, events, max, nanoseconds < 0 ? NULL : &limit, NULL);
    if (n < 0 && errno == ENOSYS) {
        int milliseconds = nanoseconds < 0 ? -1 : (int)((nanoseconds + 999999) / 1000000);
        n = epoll_wait(epoll, events, max, milliseconds);
    }
    return n < 0 && errno == EINTR ? 0 : n;
}

void bench_exact_timers(void) { prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul); }

short bench_spawn_session_flag(void) { return POSIX_SPAWN_SETSID; }
