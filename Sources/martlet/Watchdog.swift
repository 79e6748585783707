// SPDX-License-Identifier: Apache-2.0
import Broker
import PluginHost
import Reactor

/// Looks at what each loop is doing: a plugin call that is still the same one after a second look has blocked its
/// loop for at least 10 ms, and log and `$SYS/brokers/NODE/sysmon/long_schedule` say whose it is, while it is still
/// under way.
final class Watchdog {
    private var seen: [UInt64]
    private var reported: [UInt64]

    init(broker: Broker, host: PluginHost, loop: EventLoop, log: Log, node: String) {
        seen = Array(repeating: 0, count: broker.loopCount)
        reported = seen
        _ = loop.after(10, every: 10) { [unowned self] in
            for i in 0..<broker.loopCount {
                let call = broker.runningCall(loop: i)
                if call != 0, call == seen[i], call != reported[i] {
                    reported[i] = call
                    let name = host.pluginName(owner: broker.owner(ofCall: call)) ?? "a plugin"
                    let text = "\(name) has been blocking event loop \(i) for more than 10 ms."
                    log.write(.warning, text)
                    broker.publishSystem("$SYS/brokers/\(node)/sysmon/long_schedule", text)
                }
                seen[i] = call
            }
        }
    }
}
