// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Lets one thread wait for others. The memory is the semaphore's own, so waiter and signaller may outlive it safely
/// only if the waiter waits for every signal.
public final class Semaphore: @unchecked Sendable {
    private let raw: UnsafeMutablePointer<sem_t>

    public init(_ value: UInt32 = 0) {
        raw = .allocate(capacity: 1)
        sem_init(raw, 0, value)
    }

    deinit {
        sem_destroy(raw)
        raw.deallocate()
    }

    public func signal() { sem_post(raw) }

    public func wait() {
        while sem_wait(raw) != 0 && errno == EINTR {}
    }

    /// False when `milliseconds` passed first.
    public func wait(milliseconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += milliseconds / 1000
        deadline.tv_nsec += milliseconds % 1000 * 1_000_000
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_sec += 1
            deadline.tv_nsec -= 1_000_000_000
        }
        while sem_timedwait(raw, &deadline) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}
