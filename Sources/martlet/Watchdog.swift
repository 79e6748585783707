// SPDX-License-Identifier: Apache-2.0
import Broker
import Glibc
import PluginHost
import Reactor

/// Looks at what each loop is doing: a plugin call that is still the same one at a third look, 20 ms after the first,
/// has blocked its loop, and log and `$SYS/brokers/NODE/sysmon/long_schedule` say whose it is, while it is still under
/// way. One whose thread spent that time waiting for a core is not to blame.
final class Watchdog {
    private struct Look {
        var call: UInt64 = 0
        /// Looks that saw this call, the first not counted.
        var repeats = 0
        /// Nanoseconds the thread had waited for a core by then.
        var waited: UInt64 = 0
    }
    private var looks: [Look]
    private static let step: UInt64 = 10

    init(broker: Broker, host: PluginHost, loop: EventLoop, log: Log, node: String) {
        looks = Array(repeating: Look(), count: broker.loopCount)
        _ = loop.after(Self.step, every: Self.step) { [unowned self] in
            broker.group?.relieve()
            for i in 0..<broker.loopCount where isBlocked(i, broker) {
                let name = host.pluginName(owner: broker.owner(ofCall: looks[i].call)) ?? "a plugin"
                let text = "\(name) has been blocking event loop \(i) for more than 10 ms."
                log.write(.warning, text)
                broker.publishSystem("$SYS/brokers/\(node)/sysmon/long_schedule", text)
            }
        }
    }

    /// True once for each call.
    private func isBlocked(_ i: Int, _ broker: Broker) -> Bool {
        let call = broker.runningCall(loop: i)
        guard call != 0, call == looks[i].call else {
            looks[i] = Look(call: call)
            return false
        }
        looks[i].repeats += 1
        switch looks[i].repeats {
        case 1:
            looks[i].waited = Self.waited(broker.loop(i).threadID)
            return false
        case 2:
            return Self.waited(broker.loop(i).threadID) - looks[i].waited < Self.step * 1_000_000 / 2
        default: return false
        }
    }

    /// Nanoseconds this thread has been ready to run without a core: the second number of its schedstat, 0 where the
    /// kernel keeps none.
    private static func waited(_ thread: Int32) -> UInt64 {
        let file = open("/proc/self/task/\(thread)/schedstat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { buffer in
            let count = read(file, buffer.baseAddress, 128)
            guard count > 0 else { return 0 }
            let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
            return fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0
        }
    }
}
