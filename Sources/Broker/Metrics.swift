// SPDX-License-Identifier: Apache-2.0
import CReactor

/// Counters of traffic. Each shard counts for itself with plain additions; whoever reads adds the shards up.
/// Names are those of `$SYS/brokers/NODE/metrics/…`.
public enum Metric: Int, CaseIterable, Sendable {
    case bytesReceived, bytesSent
    case packetsReceived, packetsSent
    case packetsConnect, packetsConnack, packetsPublishReceived, packetsPublishSent
    case packetsPubackReceived, packetsPubackSent, packetsPubackMissed
    case packetsPubrecReceived, packetsPubrecSent, packetsPubrecMissed
    case packetsPubrelReceived, packetsPubrelSent, packetsPubrelMissed
    case packetsPubcompReceived, packetsPubcompSent, packetsPubcompMissed
    case packetsSubscribe, packetsSuback, packetsUnsubscribe, packetsUnsuback
    case packetsPingreq, packetsPingresp, packetsDisconnectReceived, packetsDisconnectSent, packetsAuth
    case messagesReceived, messagesSent, messagesDropped, messagesExpired, messagesRetried
    case messagesQoS0Received, messagesQoS0Sent, messagesQoS1Received, messagesQoS1Sent
    case messagesQoS2Received, messagesQoS2Sent, messagesQoS2Dropped, messagesQoS2Expired
    case droppedNoSubscriber, droppedHook, droppedDenied, droppedQueueFull, droppedQoS0Queue, droppedSlow
    case droppedTooLarge, droppedExpired, droppedSessionEnd
    case clientsHeldBack, clientsThrottled, clientsFlapping
    case aclChecks, aclCacheHits, authAllowed, authDenied, authTimeouts, hookTimeouts
    case connectionsAccepted, connectionsRefused, connectionsMoved, sessionsTakenOver
    /// How often the loops began to work side by side.
    case loopsSpread
    case loopsPaused

    public var name: String {
        switch self {
        case .bytesReceived: "bytes/received"
        case .bytesSent: "bytes/sent"
        case .packetsReceived: "packets/received"
        case .packetsSent: "packets/sent"
        case .packetsConnect: "packets/connect"
        case .packetsConnack: "packets/connack"
        case .packetsPublishReceived: "packets/publish/received"
        case .packetsPublishSent: "packets/publish/sent"
        case .packetsPubackReceived: "packets/puback/received"
        case .packetsPubackSent: "packets/puback/sent"
        case .packetsPubackMissed: "packets/puback/missed"
        case .packetsPubrecReceived: "packets/pubrec/received"
        case .packetsPubrecSent: "packets/pubrec/sent"
        case .packetsPubrecMissed: "packets/pubrec/missed"
        case .packetsPubrelReceived: "packets/pubrel/received"
        case .packetsPubrelSent: "packets/pubrel/sent"
        case .packetsPubrelMissed: "packets/pubrel/missed"
        case .packetsPubcompReceived: "packets/pubcomp/received"
        case .packetsPubcompSent: "packets/pubcomp/sent"
        case .packetsPubcompMissed: "packets/pubcomp/missed"
        case .packetsSubscribe: "packets/subscribe"
        case .packetsSuback: "packets/suback"
        case .packetsUnsubscribe: "packets/unsubscribe"
        case .packetsUnsuback: "packets/unsuback"
        case .packetsPingreq: "packets/pingreq"
        case .packetsPingresp: "packets/pingresp"
        case .packetsDisconnectReceived: "packets/disconnect/received"
        case .packetsDisconnectSent: "packets/disconnect/sent"
        case .packetsAuth: "packets/auth"
        case .messagesReceived: "messages/received"
        case .messagesSent: "messages/sent"
        case .messagesDropped: "messages/dropped"
        case .messagesExpired: "messages/expired"
        case .messagesRetried: "messages/retried"
        case .messagesQoS0Received: "messages/qos0/received"
        case .messagesQoS0Sent: "messages/qos0/sent"
        case .messagesQoS1Received: "messages/qos1/received"
        case .messagesQoS1Sent: "messages/qos1/sent"
        case .messagesQoS2Received: "messages/qos2/received"
        case .messagesQoS2Sent: "messages/qos2/sent"
        case .messagesQoS2Dropped: "messages/qos2/dropped"
        case .messagesQoS2Expired: "messages/qos2/expired"
        case .droppedNoSubscriber: "messages/dropped/no_subscriber"
        case .droppedHook: "messages/dropped/hook"
        case .droppedDenied: "messages/dropped/denied"
        case .droppedQueueFull: "messages/dropped/queue_full"
        case .droppedQoS0Queue: "messages/dropped/qos0_queue"
        case .droppedSlow: "messages/dropped/slow"
        case .droppedTooLarge: "messages/dropped/too_large"
        case .droppedExpired: "messages/dropped/expired"
        case .droppedSessionEnd: "messages/dropped/session_end"
        case .clientsHeldBack: "clients/held_back"
        case .clientsThrottled: "clients/throttled"
        case .clientsFlapping: "clients/flapping"
        case .aclChecks: "acl/checks"
        case .aclCacheHits: "acl/cache_hits"
        case .authAllowed: "auth/allowed"
        case .authDenied: "auth/denied"
        case .authTimeouts: "auth/timeouts"
        case .hookTimeouts: "hooks/timeouts"
        case .connectionsAccepted: "connections/accepted"
        case .connectionsRefused: "connections/refused"
        case .connectionsMoved: "connections/moved"
        case .sessionsTakenOver: "sessions/taken_over"
        case .loopsSpread: "loops/spread"
        case .loopsPaused: "loops/paused"
        }
    }
}

/// One shard's counters: only its thread counts, any may read with `cr_load_relaxed_u64`.
struct Counters {
    let cells: UnsafeMutablePointer<UInt64>

    init() {
        cells = .allocate(capacity: Metric.allCases.count)
        cells.initialize(repeating: 0, count: Metric.allCases.count)
    }

    @inline(__always) func count(_ metric: Metric, _ n: Int = 1) {
        cr_count_u64(cells + metric.rawValue, UInt64(n))
    }
}
