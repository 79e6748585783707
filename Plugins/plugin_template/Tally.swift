// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// What the plugin counts: the thirteen hook points in the order of martlet/hooks.h, then the two decisions.
enum Seen: Int, CaseIterable {
    case clientConnected, clientDisconnected, clientSubscribe, clientUnsubscribe
    case sessionCreated, sessionResumed, sessionTerminated, sessionSubscribed, sessionUnsubscribed
    case messagePublish, messageDelivered, messageAcked, messageDropped
    case auth, acl

    var name: StaticString {
        switch self {
        case .clientConnected: "client.connected"
        case .clientDisconnected: "client.disconnected"
        case .clientSubscribe: "client.subscribe"
        case .clientUnsubscribe: "client.unsubscribe"
        case .sessionCreated: "session.created"
        case .sessionResumed: "session.resumed"
        case .sessionTerminated: "session.terminated"
        case .sessionSubscribed: "session.subscribed"
        case .sessionUnsubscribed: "session.unsubscribed"
        case .messagePublish: "message.publish"
        case .messageDelivered: "message.delivered"
        case .messageAcked: "message.acked"
        case .messageDropped: "message.dropped"
        case .auth: "auth"
        case .acl: "acl"
        }
    }
}

/// Counters with one row a loop: each loop writes only its own row, so counting costs no traffic between cores. A
/// counter that all loops add to would be the slowest part of this plugin.
struct Tally {
    /// 16 counters fill two cache lines: neighbouring rows share none.
    private static var width: Int { 16 }
    private let cells: UnsafeMutablePointer<Atomic<Int>>
    private let rows: Int
    private let exec: Exec

    init(_ exec: Exec) {
        self.exec = exec
        rows = Int(exec.loopCount) + 1
        cells = .allocate(capacity: rows * Self.width)
        for index in 0..<rows * Self.width { (cells + index).initialize(to: Atomic(0)) }
    }
    func free() {
        cells.deinitialize(count: rows * Self.width)
        cells.deallocate()
    }
    /// [any]
    @inline(__always) func count(_ what: Seen) {
        if let loop = exec.loopIndex, loop < rows {
            let cell = cells + (loop &* Self.width &+ what.rawValue)
            cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        } else {
            (cells + (rows - 1) * Self.width + what.rawValue).pointee.add(1, ordering: .relaxed)
        }
    }
    func total(_ what: Seen) -> Int {
        var sum = 0
        for row in 0..<rows { sum &+= (cells + row * Self.width + what.rawValue).pointee.load(ordering: .relaxed) }
        return sum
    }
}
