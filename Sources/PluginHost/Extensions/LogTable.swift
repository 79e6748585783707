// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.log/1
nonisolated(unsafe) let logTable = permanent(
    martlet_log_v1(
        size: size(of: martlet_log_v1.self),
        enabled: { host, level in
            // Without a reference to the instance: counting those would make all loops wait for one cache line.
            Unmanaged<PluginInstance>.fromOpaque(host.pointee.impl)._withUnsafeGuaranteedRef {
                level >= $0.logThreshold
            }
        },
        write: { host, level, text, about in
            let instance = instance(host)
            let level = HostLog.Level(rawValue: level) ?? .critical
            guard instance.phase != .gone, level >= instance.host.log.threshold else { return }
            let who = waitsInVain(instance) ? "" : clientSuffix(instance.host.broker, about)
            instance.log(level, text.line() + who)
        }))

/// ` (client sensor-7, 192.0.2.7:51234)`, or nothing when it is gone.
private func clientSuffix(_ broker: any BrokerPort, _ client: martlet_client) -> String {
    guard client != 0 else { return "" }
    let parts = [MARTLET_CL_CLIENTID, MARTLET_CL_PEER].compactMap { field -> String? in
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = buffer.withUnsafeMutableBufferPointer {
            broker.copyClientField(client, Int32(field), $0.baseAddress, $0.count)
        }
        return count == 0 ? nil : oneLine(buffer.prefix(min(count, buffer.count)))
    }
    return parts.isEmpty ? "" : " (client \(parts.joined(separator: ", ")))"
}
