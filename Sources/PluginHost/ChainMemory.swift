// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet

/// One built ChainSet with its entries and filters in a single block, immutable from then on.
final class ChainMemory {
    let set: UnsafeMutablePointer<ChainSet>
    private let block: UnsafeMutableRawPointer

    /// `plugins` in load order. Higher priority first, then load order, then the order of registration.
    init(_ plugins: [PluginInstance]) {
        let hooks = (0..<MARTLET_HOOK_COUNT_V1).map { hook in
            sorted(plugins) { $0.hooks.filter { $0.hook == hook }.map(\.entry) }
        }
        let auth = sorted(plugins) { $0.auth }
        let acl = sorted(plugins) { $0.acl }
        let psk = sorted(plugins) { $0.psk }
        let deliver = sorted(plugins) { $0.deliver }

        // All entries are of one size, whatever the function's type.
        let stride = MemoryLayout<HookEntry>.stride
        let entries = hooks.reduce(0) { $0 + $1.count } + auth.count + acl.count + psk.count + deliver.count
        let filters =
            hooks.joined().reduce(0) { $0 + $1.1.filter.count } + deliver.reduce(0) { $0 + $1.1.filter.count }
        block = .allocate(byteCount: max(1, entries * stride + filters), alignment: 64)
        var writer = Writer(entry: block, filter: block + entries * stride)
        set = .allocate(capacity: 1)
        set.initialize(to: ChainSet())
        for (hook, entries) in hooks.enumerated() { set.pointee.hooks[hook] = writer.write(entries) }
        set.pointee.everyPublish = set.pointee.hooks[Int(MARTLET_HOOK_MESSAGE_PUBLISH)].contains { !$0.retainOnly }
        set.pointee.auth = writer.write(auth)
        set.pointee.acl = writer.write(acl)
        set.pointee.psk = writer.write(psk)
        set.pointee.deliver = writer.write(deliver)
    }

    deinit {
        set.deinitialize(count: 1)
        set.deallocate()
        block.deallocate()
    }

    private struct Writer {
        var entry: UnsafeMutableRawPointer
        var filter: UnsafeMutableRawPointer

        mutating func write<F>(
            _ registrations: [(UInt32, ChainRegistration<F>)]
        ) -> UnsafeMutableBufferPointer<ChainEntry<F>> {
            guard !registrations.isEmpty else { return UnsafeMutableBufferPointer(start: nil, count: 0) }
            let start = entry.bindMemory(to: ChainEntry<F>.self, capacity: registrations.count)
            for (i, (owner, registration)) in registrations.enumerated() {
                let bytes = registration.filter
                bytes.withUnsafeBytes {
                    if let base = $0.baseAddress { filter.copyMemory(from: base, byteCount: $0.count) }
                }
                (start + i).initialize(
                    to: ChainEntry(
                        function: registration.function, user: registration.user, owner: owner,
                        priority: registration.priority,
                        filter: UnsafeRawBufferPointer(start: bytes.isEmpty ? nil : filter, count: bytes.count),
                        cost: registration.cost.cells, retainOnly: registration.retainOnly))
                filter += bytes.count
            }
            entry += registrations.count * MemoryLayout<ChainEntry<F>>.stride
            return UnsafeMutableBufferPointer(start: start, count: registrations.count)
        }
    }
}

/// A chain in calling order, each entry with its plugin's owner index.
func sorted<F>(
    _ plugins: [PluginInstance], _ pick: (ChainRegistrations) -> [ChainRegistration<F>]
) -> [(UInt32, ChainRegistration<F>)] {
    let all = plugins.flatMap { plugin in pick(plugin.chains).map { (plugin.owner, $0) } }
    // `sorted` is stable: equal priorities stay in load order.
    return all.sorted { $0.1.priority > $1.1.priority }
}
