// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Sessions
import Topics

typealias SessionRef = UnsafeMutablePointer<Session>

/// One client's state, online or not. A slot in its shard's slab; only that shard touches it. What a message needs of
/// its receiver comes first, then what it needs of its publisher.
struct Session: SlabSlot {
    var slot: UInt32
    /// Counts the uses of the slot: part of the handle plugins hold.
    var generation: UInt32
    /// Nil while offline.
    var connection: ConnectionRef?
    var zone: UnsafePointer<Zone>
    /// Made with the first QoS 1 or 2 message or the first message to wait.
    var outbound: UnsafeMutablePointer<Outbound>?
    var delivered: UInt64
    var version: UInt8
    var flags: Flags
    /// Seconds after the end of the connection; 0: ends with it; UInt32.max: never.
    var expiryInterval: UInt32
    /// Publishers paused on behalf of this session are to be woken when it has caught up.
    var congestedSince: UInt64
    var awaiting: UnsafeMutablePointer<AwaitingRelease>?
    /// Owned.
    var clientID: Bytes
    /// Owned; of the connection that used the session last.
    var username: Bytes
    var subs: UnsafeMutablePointer<Subscription>?
    var subCount: UInt32
    var subRoom: UInt32
    var feeds: UnsafeMutablePointer<Feed>?
    var enqueued: UInt64
    var dropped: UInt64
    /// Scratch of the route filler: index of this session's target, plus one, valid for fill number `mark`.
    var mark: UInt32
    var markIndex: UInt32
    /// Session expiry while offline.
    var timer: TimerNode
    /// A will that waits for its delay.
    var will: UnsafeMutablePointer<Will>?
    var createdAt: Int64

    struct Flags: OptionSet {
        let rawValue: UInt8
        static let cleanStart = Flags(rawValue: 1)
        /// In the shard's list of sessions that hold publishers back.
        static let holdsPublishers = Flags(rawValue: 2)
        static let queueAlarm = Flags(rawValue: 4)
        static let feeding = Flags(rawValue: 8)
        static let hasShares = Flags(rawValue: 16)
        /// Its end has come; what is left of it is in the table.
        static let ended = Flags(rawValue: 32)
        /// It unsubscribed while stored messages were on their way: each is looked at again before it is sent.
        static let feedDoubtful = Flags(rawValue: 64)
    }

    var isOnline: Bool { connection != nil }
}

/// A session's own view of one subscription.
struct Subscription {
    var node: UInt32
    /// Where the table's list for (node, shard) has it, or where the share group has it.
    var position: UInt32
    /// MQTT 5 Subscription Identifier; 0: none.
    var identifier: UInt32
    /// Index of the share group, 0: not shared.
    var group: UInt32
    var options: SubOptions
}

/// QoS and options of a subscription in one byte, laid out as in SUBSCRIBE (MQTT 5 §3.8.3.1), with `$local` above.
struct SubOptions {
    var rawValue: UInt8
    var qos: UInt8 { rawValue & 3 }
    var noLocal: Bool { rawValue & 4 != 0 }
    var retainAsPublished: Bool { rawValue & 8 != 0 }
    var retainHandling: UInt8 { rawValue >> 4 & 3 }
    var isLocal: Bool { rawValue & 64 != 0 }
}

/// A will on its way: made at CONNECT, published at the end of the connection or after its delay. MQTT 5 §3.1.3.2.
struct Will {
    var message: MessageRef
    /// Seconds.
    var delay: UInt32
    var timer: TimerNode
}

/// Asks for what a message needs of a session: its first 128 bytes, which lie on three cache lines at most.
@inline(__always)
func prefetch(_ s: SessionRef) {
    let at = UnsafeRawPointer(s)
    cr_prefetch(at)
    cr_prefetch(at + 64)
    cr_prefetch(at + 112)
}

/// Copies bytes that a struct in a slab is to own; release with `freeBytes`.
func ownBytes(_ bytes: Bytes) -> Bytes {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return Bytes(start: nil, count: 0) }
    let copy = malloc(bytes.count)!
    copy.copyMemory(from: base, byteCount: bytes.count)
    return Bytes(start: copy, count: bytes.count)
}

func freeBytes(_ bytes: Bytes) {
    free(UnsafeMutableRawPointer(mutating: bytes.baseAddress))
}

var noBytes: Bytes { Bytes(start: nil, count: 0) }

func sameBytes(_ a: Bytes, _ b: Bytes) -> Bool {
    a.count == b.count && (a.count == 0 || memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0)
}
