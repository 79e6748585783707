// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// Whom a feed is for.
struct FeedTarget {
    let session: martlet_session
    let qos: UInt8
    let subscriptionID: UInt32
    let loop: UInt32
}

/// The messages for one new subscription, pulled by the host as the client has room. Everything on the session's loop,
/// unless said otherwise. It lives until `callEnd`.
class SessionFeed {
    let store: Store
    let target: FeedTarget
    /// Client id whose messages the subscription leaves out, because it is its own; empty: none.
    private var ownID = ByteBuffer()
    /// Messages left out in one go, so that other clients of the loop get their turn.
    private static var longestSkip: Int { 256 }

    init(_ store: Store, _ target: FeedTarget) {
        self.store = store
        self.target = target
    }

    deinit { ownID.free() }

    /// Before the first `next`.
    func leaveOut(from clientID: martlet_bytes) { ownID.append(clientID.raw) }

    /// As martlet_feed_fn: `next` without what No Local leaves out.
    private func nextOfOthers(_ more: UnsafeMutablePointer<Bool>) -> OpaquePointer? {
        for _ in 0..<Self.longestSkip {
            guard let message = next(more) else { return nil }
            guard ownID.count > 0, isOwn(message) else { return message }
            store.messages.release(message)
        }
        more.pointee = true
        return nil
    }

    /// [MQTT-3.8.3-3]
    private func isOwn(_ message: OpaquePointer) -> Bool {
        TopicKey.isEqual(store.messages.read(message).from_clientid.raw, ownID.bytes)
    }

    /// As martlet_feed_fn.
    func next(_ more: UnsafeMutablePointer<Bool>) -> OpaquePointer? {
        more.pointee = false
        return nil
    }

    /// Starts at this key instead of at the beginning. Before the first `next`.
    func go(to key: UnsafeRawBufferPointer) {}

    /// What is left to feed, nil when nothing is.
    func rest() -> (filter: UnsafeRawBufferPointer, next: UnsafeRawBufferPointer)? { nil }

    /// While a reload is under way, the new image takes up what the host cuts off here. A session that went away by
    /// itself in that moment is recognised there as stale.
    private func end() {
        guard store.state.pointee.owners.load(ordering: .relaxed) > 1, let rest = rest() else { return }
        var parked = ParkedFeed(
            session: target.session, loop: target.loop, subscriptionID: target.subscriptionID, qos: target.qos)
        parked.filter.append(rest.filter)
        parked.next.append(rest.next)
        parked.ownID.append(ownID.bytes)
        store.changing { $0.pointee.parked.append(parked) }
    }

    static var callNext: martlet_feed_fn {
        { user, more in
            Unmanaged<SessionFeed>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef { $0.nextOfOthers(more) }
        }
    }

    static var callEnd: martlet_feed_end_fn {
        { user in
            let feed = Unmanaged<SessionFeed>.fromOpaque(user.unsafelyUnwrapped)
            feed._withUnsafeGuaranteedRef { $0.end() }
            feed.release()
        }
    }
}

/// For storage ram and disc.
final class MemoryFeed: SessionFeed {
    private var walk: MemoryWalk

    init(_ store: Store, _ target: FeedTarget, filter key: UnsafeRawBufferPointer) {
        walk = MemoryWalk(store, filter: key)
        super.init(store, target)
    }

    deinit { walk.free() }

    override func next(_ more: UnsafeMutablePointer<Bool>) -> OpaquePointer? {
        switch walk.next(now: Clock.unix) {
        case .message(let message):
            more.pointee = true
            return message
        case .pause:
            more.pointee = true
            return nil
        case .end:
            more.pointee = false
            return nil
        }
    }

    override func go(to key: UnsafeRawBufferPointer) { walk.go(to: key) }

    override func rest() -> (filter: UnsafeRawBufferPointer, next: UnsafeRawBufferPointer)? { walk.position() }
}

/// For storage disc_only: slices are read from LMDB by a thread that may block, because a page fault is a disc access.
/// While a slice is on its way the host is told to ask again.
final class DiscFeed: SessionFeed {
    private let work: Work
    private var walk: DiscWalk
    /// True while a reading task owns `walk`.
    private let isReading = Atomic<Bool>(false)

    init(_ store: Store, _ target: FeedTarget, _ work: Work, filter key: UnsafeRawBufferPointer) {
        self.work = work
        walk = DiscWalk(store, filter: key)
        super.init(store, target)
    }

    deinit { walk.free() }

    override func next(_ more: UnsafeMutablePointer<Bool>) -> OpaquePointer? {
        more.pointee = true
        if isReading.load(ordering: .acquiring) { return nil }
        switch walk.next(now: Clock.unix) {
        case .message(let message): return message
        case .pause:
            isReading.store(true, ordering: .relaxed)
            let started = work.blocking { [self] in
                walk.read(now: Clock.unix)
                isReading.store(false, ordering: .releasing)
            }
            if !started { isReading.store(false, ordering: .relaxed) }
            return nil
        case .end:
            more.pointee = false
            return nil
        }
    }

    override func go(to key: UnsafeRawBufferPointer) { walk.go(to: key) }

    /// A slice that is being read has not been fed: its first key is where the successor begins.
    override func rest() -> (filter: UnsafeRawBufferPointer, next: UnsafeRawBufferPointer)? {
        isReading.load(ordering: .acquiring) ? nil : walk.position()
    }
}
