// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One message on its way to one session: what the queue and the inflight window hold. Owns one reference.
@frozen
public struct Delivery {
    public var message: MessageRef
    /// More than one subscription identifier: a count, then the identifiers; owned. MQTT 5 §3.3.4.
    public var moreIDs: UnsafeMutablePointer<UInt32>?
    /// The only subscription identifier, 0 when there is none or when `moreIDs` holds them.
    public var subscriptionID: UInt32
    /// Serial of the share group it was dispatched through, so that it can go to another member; 0: none.
    public var shareGroup: UInt32
    /// The smaller of the publisher's and the subscription's.
    public var qos: UInt8
    public var retain: Bool

    @inlinable
    public init(
        _ message: MessageRef, qos: UInt8, retain: Bool = false, subscriptionID: UInt32 = 0,
        moreIDs: UnsafeMutablePointer<UInt32>? = nil, shareGroup: UInt32 = 0
    ) {
        self.message = message
        self.qos = qos
        self.retain = retain
        self.subscriptionID = subscriptionID
        self.moreIDs = moreIDs
        self.shareGroup = shareGroup
    }

    /// Gives up the reference and the identifiers.
    @inlinable public func discard() {
        message.release()
        if let moreIDs { free(moreIDs) }
    }

    /// What it counts for against a limit in bytes.
    @inlinable public var footprint: Int { message.pointee.footprint + MemoryLayout<Delivery>.stride }
}

/// Why a message did not reach a session. Raw values are MARTLET_DROP_* of the plugin line.
public enum DropReason: UInt8, Sendable, CaseIterable {
    case noSubscriber = 1
    case hook = 2
    case denied = 3
    case queueFull = 4
    case qos0Queue = 5
    case slow = 6
    case tooLarge = 7
    case expired = 8
    case sessionEnd = 9
}
