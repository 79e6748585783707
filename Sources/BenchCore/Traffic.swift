// SPDX-License-Identifier: Apache-2.0
import CBench

/// What every loop must know of the traffic; fixed before the first client connects.
struct Traffic: Sendable {
    var transport = Transport.tcp
    var version: UInt8 = 4
    var qos: UInt8 = 0
    var size = 64
    var retain = false
    var run: UInt32
    /// Messages a publisher may have on the way: not acknowledged (QoS 1, 2) or not seen by every receiver.
    var window = 256
    /// Publishes are held back until this many may go at once: fewer, larger writes.
    var batch = 64
    /// Do not wait for the receivers, only for the broker's acknowledgements.
    var openLoop = false
    /// Messages per second of all publishers together; nil: as fast as the window lets them.
    var rate: Double?
    var beat = Beat.even
    var publisherCount = 0
    /// For the request that opens a WebSocket.
    var host = "localhost"
    var port: UInt16 = 1883
    var keepAlive: UInt16 = 60
    var username: String?
    var password: String?
    /// Connections being opened at one time, per loop, and how many may be started per second (nil: any number).
    var parallelConnects = 100
    var connectRate: Double?
    /// Addresses to connect from in turn; none: the kernel's choice.
    var sources: [SocketAddress] = []
    /// The size of a nap after a wake-up that brought little, so that the next one brings more; 0 for latency runs.
    var nap: UInt64 = 0
}

/// How many messages of each publisher have arrived, written by the loops of the receivers, read by the loop of the
/// publisher.
final class Progress: @unchecked Sendable {
    enum Rule: Sendable {
        /// One receiver per message: the loops' numbers add up.
        case sum
        /// Every message goes to every receiver: the slowest counts. The array holds the loops that have receivers.
        case lowest(loops: [Int])
    }

    private let slots: UnsafeMutablePointer<UInt64>
    private let stride: Int
    private let loops: Int
    let rule: Rule
    /// One counter per loop, raised by other loops when they have moved a publisher of that loop forward.
    private let nudges: UnsafeMutablePointer<UInt64>

    init(publishers: Int, loops: Int, rule: Rule) {
        // Each loop's numbers have cache lines of their own.
        stride = (publishers + 15) / 8 * 8
        self.loops = loops
        self.rule = rule
        slots = .allocate(capacity: stride * loops)
        slots.initialize(repeating: 0, count: stride * loops)
        nudges = .allocate(capacity: 8 * loops)
        nudges.initialize(repeating: 0, count: 8 * loops)
    }

    deinit {
        slots.deallocate()
        nudges.deallocate()
    }

    @inline(__always)
    func slot(loop: Int, publisher: Int) -> UnsafeMutablePointer<UInt64> { slots + loop * stride + publisher }

    @inline(__always)
    func nudge(of loop: Int) -> UnsafeMutablePointer<UInt64> { nudges + 8 * loop }

    func reached(_ publisher: Int) -> UInt64 {
        switch rule {
        case .sum:
            var total: UInt64 = 0
            for loop in 0..<loops { total &+= bench_load(slot(loop: loop, publisher: publisher)) }
            return total
        case .lowest(let among):
            var lowest = UInt64.max
            for loop in among { lowest = min(lowest, bench_load(slot(loop: loop, publisher: publisher))) }
            return lowest
        }
    }
}

/// The numbers a loop keeps while it runs; the main thread reads them at any time.
enum Counter: Int, CaseIterable, Sendable {
    case connected, refused, failed, lostConnections, subscribed, subscriptionsRefused, finished
    case sent, acked, received, foreign, misrouted, protocolErrors, lastReceived, sessionsPresent
    case outstandingConnects
}

final class Counters: @unchecked Sendable {
    private let values: UnsafeMutablePointer<UInt64>

    init() {
        values = .allocate(capacity: Counter.allCases.count)
        values.initialize(repeating: 0, count: Counter.allCases.count)
    }

    deinit { values.deallocate() }

    /// From any thread.
    func read(_ counter: Counter) -> UInt64 { bench_load(values + counter.rawValue) }

    /// From the owning loop only.
    @inline(__always)
    subscript(_ counter: Counter) -> UInt64 {
        get { values[counter.rawValue] }
        set { bench_store(values + counter.rawValue, newValue) }
    }
}
