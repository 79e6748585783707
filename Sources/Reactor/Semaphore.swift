// SPDX-License-Identifier: Apache-2.0
import CReactor
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

    /// False when `milliseconds` passed first; by the monotonic clock, for who waits must not do so an hour longer
    /// because the time of day was set back.
    public func wait(milliseconds: Int) -> Bool { cr_semaphore_wait(raw, Int64(milliseconds)) == 0 }
}
