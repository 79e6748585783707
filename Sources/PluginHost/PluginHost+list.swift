// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// One line of `plugins list`.
public struct PluginInfo: Sendable, Equatable {
    public var name: String
    public var version: String
    public var description: String
    public var isActive: Bool
    /// An image of it can not be unmapped (any more).
    public var isResident: Bool

    /// EMQ's line, with our note behind it.
    public var line: String {
        "Plugin(\(name), version=\(version), description=\(description), active=\(isActive))"
            + (isResident ? " resident until restart" : "")
    }
}

/// What the entry of a file that is not loaded says.
struct Probe {
    var identity: FileIdentity
    var version: String
    var description: String
}

extension PluginHost {
    /// Every plugin in the plugin directories and every plugin that runs, by name.
    public func list() -> [PluginInfo] {
        let names = Set(installedPlugins(in: options.directories)).union(running.map(\.name))
        probes = probes.filter { names.contains($0.key) }
        return names.sorted().map(info)
    }

    /// Version and `active` of one plugin.
    public func info(_ name: String) -> PluginInfo {
        if let instance = instance(named: name) {
            return PluginInfo(
                name: name, version: instance.image.version, description: instance.image.description, isActive: true,
                isResident: instance.image.pinned != nil)
        }
        let probe = probe(name)
        return PluginInfo(
            name: name, version: probe.version, description: probe.description, isActive: false,
            isResident: residents.contains { $0.name == name })
    }

    /// Looks into a file once per change of it. An image with the Swift runtime is not looked into: it could not be
    /// unmapped again.
    private func probe(_ name: String) -> Probe {
        do throws(PluginError) {
            let file = try PluginFile.open(name, in: options.directories)
            if let known = probes[name], known.identity == file.identity { return known }
            var probe = Probe(identity: file.identity, version: "?", description: "")
            if file.neededLibraries().contains(where: { $0.hasPrefix("libswiftCore") }) {
                probe.description = "linked to libswiftCore, not looked into"
            } else {
                do throws(PluginError) {
                    let image = try PluginImage.open(file, folder: folder, pins: false)
                    probe.version = image.version
                    probe.description = image.description
                    _ = image.close()
                } catch {
                    probe.description = error.sentence
                }
            }
            probes[name] = probe
            return probe
        } catch {
            return Probe(
                identity: FileIdentity(device: 0, inode: 0, size: 0, modified: 0), version: "?",
                description: error.sentence)
        }
    }

    // MARK: - show

    /// Pairs for `plugins show NAME`: everything known of one plugin.
    public func show(_ typed: String) throws(PluginError) -> [(key: String, value: String)] {
        let name = canonicalPluginName(typed)
        guard let instance = instance(named: name) else {
            guard installedPlugins(in: options.directories).contains(name) else { throw notRunning(name) }
            let info = info(name)
            return [
                ("name", name), ("version", info.version), ("description", info.description), ("active", "false"),
                ("resident", residentText(name)),
            ]
        }
        return facts(instance) + httpFacts(instance) + costs(instance)
    }

    private func facts(_ instance: PluginInstance) -> [(key: String, value: String)] {
        let image = instance.image
        var facts = [
            ("name", image.name), ("version", image.version), ("description", image.description), ("active", "true"),
            ("file", image.path), ("started_at", "\(instance.startedAt / 1000)"),
            ("resident", residentText(image.name)),
            ("needs", listText(image.needs)), ("after", listText(image.after)),
            ("services", listText(instance.services.values.map(\.id).sorted())),
            ("borrows", listText(instance.borrows.values.map(\.id).sorted())),
            ("commands", listText(instance.commands.values.map(\.name).sorted())),
            ("metrics", "\(instance.metrics.count)"), ("timers_and_fds", "\(instance.pollers.count)"),
            (
                "tasks_waiting",
                "\(instance.waitingTasks)"
            ),
            ("http_routes", listText(instance.httpRoutes.values.map { "\($0.method) \($0.pattern.text)" }.sorted())),
            ("http_requests_open", "\(httpServer?.openRequests(of: instance.owner) ?? 0)"),
            ("listeners", listText(netLines(instance))), ("connections_out", "\(instance.net.dialCount)"),
            ("deferrals_open", "\(broker.openDeferrals(of: instance.owner))"),
            ("slow_callbacks", "\(instance.slowCallbacks.load(ordering: .relaxed))"),
        ]
        if let config = instance.config { facts += [("conf", config.path)] + config.shown() }
        return facts
    }

    private func costs(_ instance: PluginInstance) -> [(key: String, value: String)] {
        let chains = instance.chains
        return chains.hooks.map { (hookNames[$0.hook], costText($0.entry)) }
            + chains.auth.map { ("auth", costText($0)) }
            + chains.acl.map { ("acl", costText($0)) }
            + chains.psk.map { ("psk", costText($0)) }
            + chains.deliver.map { ("subscription", costText($0)) }
    }

    private func costText<F>(_ entry: ChainRegistration<F>) -> String {
        let sum = entry.cost.sum()
        return "priority=\(entry.priority)"
            + (entry.filter.isEmpty ? "" : ", filter=\(String(decoding: entry.filter, as: UTF8.self))")
            + (entry.retainOnly ? ", only=retain" : "") + ", calls=\(sum.calls), errors=\(sum.errors), "
            + "p50=\(sum.percentileNS(0.5))ns, p99=\(sum.percentileNS(0.99))ns"
    }

    private func residentText(_ name: String) -> String {
        var reasons = residents.filter { $0.name == name }.map { "\($0.version): \($0.reason)" }
        if let pinned = instance(named: name)?.image.pinned { reasons.append("until restart: \(pinned)") }
        return reasons.isEmpty ? "false" : reasons.joined(separator: "; ")
    }

    private func listText(_ words: [String]) -> String { words.isEmpty ? "-" : words.joined(separator: ",") }
}

/// The thirteen hook points by number, as EMQ writes them.
public let hookNames = [
    "client.connected", "client.disconnected", "client.subscribe", "client.unsubscribe", "session.created",
    "session.resumed", "session.terminated", "session.subscribed", "session.unsubscribed", "message.publish",
    "message.delivered", "message.acked", "message.dropped",
]

/// One function in the effective chain of a hook, of auth, of acl or of the plugins' own subscriptions.
public struct ChainLine: Sendable, Equatable {
    /// "message.publish", "auth", "acl", "psk", "subscription".
    public var chain: String
    public var plugin: String
    public var priority: Int32
    public var filter: String
    /// Messages with the retain flag alone.
    public var retainOnly: Bool
    public var cost: CallSummary
}

extension PluginHost {
    /// Every chain in calling order; a hook point nobody uses does not appear.
    public func chainLines() -> [ChainLine] {
        var lines: [ChainLine] = []
        for (hook, name) in hookNames.enumerated() {
            lines += chain(name) { $0.hooks.filter { $0.hook == hook }.map(\.entry) }
        }
        return lines + chain("auth") { $0.auth } + chain("acl") { $0.acl } + chain("psk") { $0.psk }
            + chain("subscription") { $0.deliver }
    }

    private func chain<F>(_ name: String, _ pick: (ChainRegistrations) -> [ChainRegistration<F>]) -> [ChainLine] {
        sorted(running, pick).map { owner, registration in
            ChainLine(
                chain: name, plugin: pluginName(owner: owner) ?? "?", priority: registration.priority,
                filter: String(decoding: registration.filter, as: UTF8.self), retainOnly: registration.retainOnly,
                cost: registration.cost.sum())
        }
    }

    /// Numbers of all plugins and of their HTTP requests.
    public func metrics() -> [Metric] { metricTable.list() + httpMetrics() }
}
