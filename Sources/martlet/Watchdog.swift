// SPDX-License-Identifier: Apache-2.0
import Broker
import Glibc
import PluginHost
import Reactor

/// Looks at what each loop is doing: a plugin call that is still the same one at a third look, 20 ms after the first,
/// has blocked its loop, and log and `$SYS/brokers/NODE/sysmon/long_schedule` say whose it is, while it is still under
/// way. One whose thread was kept from its core in that time is not to blame.
///
/// After a second in which nothing happened it rests until something does, so that an idle broker costs nothing.
/// All of it is the control thread's.
final class Watchdog: @unchecked Sendable {
    private let broker: Broker
    private let host: PluginHost
    private let loop: EventLoop
    private let log: Log
    private let node: String
    private var looks: [CallWatch]
    /// nil: it rests.
    private var timer: UInt64?
    private var seen: UInt64 = 0
    /// Looks at which nothing had happened since the one before.
    private var quiet = 0
    private static let patience = 100

    init(broker: Broker, host: PluginHost, loop: EventLoop, log: Log, node: String) {
        self.broker = broker
        self.host = host
        self.loop = loop
        self.log = log
        self.node = node
        looks = Array(repeating: CallWatch(), count: broker.loopCount)
        watch()
        // For what stirred at the moment when the rest began.
        _ = loop.after(1000, every: 1000) { [unowned self] in
            if timer == nil { restUnlessBusy() }
        }
    }

    private func watch() {
        guard timer == nil else { return }
        quiet = 0
        timer = loop.after(CallWatch.step, every: CallWatch.step) { [unowned self] in look() }
        look()
    }

    private func look() {
        broker.group?.relieve()
        for i in 0..<broker.loopCount where isBlocked(i, broker) {
            let name = host.pluginName(owner: broker.owner(ofCall: looks[i].call)) ?? "a plugin"
            let text = "\(name) has been blocking event loop \(i) for more than 10 ms."
            log.write(.warning, text)
            broker.publishSystem("$SYS/brokers/\(node)/sysmon/long_schedule", text)
        }
        let events = broker.eventCount
        quiet = events == seen && broker.isAsleep ? quiet + 1 : 0
        seen = events
        if quiet >= Self.patience { beginRest() }
    }

    private func beginRest() {
        if let timer { loop.cancel(timer: timer) }
        timer = nil
        broker.rest.begin { [unowned self] in loop.post { self.watch() } }
        restUnlessBusy()
    }

    private func restUnlessBusy() {
        if broker.eventCount != seen || broker.isCalling { broker.rest.end() }
    }

    /// True once for each call.
    private func isBlocked(_ i: Int, _ broker: Broker) -> Bool {
        let thread = broker.loop(i).threadID
        return looks[i].look(broker.runningCall(loop: i)) {
            ThreadTime(of: thread)
        } isReady: {
            ThreadTime.isReady(thread)
        }
    }
}
