// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CPluginHost
import CReactor
import Glibc

/// What a successful load or reload has to tell beyond its success.
public struct LoadReport: Sendable, Equatable {
    public let name: String
    public let version: String
    /// Sentences such as "it stays in memory until the broker restarts".
    public var notes: [String] = []
}

extension PluginHost {
    /// Loads a plugin by name and remembers it in the loaded-plugins file. On an error nothing has changed.
    public func load(_ typed: String) throws(PluginError) -> LoadReport {
        let name = canonicalPluginName(typed)
        if let there = instance(named: name) {
            throw PluginError(
                .alreadyStarted, name,
                "\(name) \(there.image.version) runs already (already_started); plugins reload \(name) replaces it.")
        }
        let image = try openImage(name)
        let instance = try bringUp(image, replacing: nil)
        commit(instance)
        var report = LoadReport(name: name, version: image.version)
        if let reason = image.pinned {
            report.notes.append("\(name) is resident until restart: \(reason).")
        }
        remember(name, isLoaded: true).map { report.notes.append($0) }
        log.line(.notice, "plugin \(name) \(image.version) is loaded")
        return report
    }

    /// Steps 1 to 6: the file, its private copy, the image, its entry.
    func openImage(_ name: String) throws(PluginError) -> PluginImage {
        let file = try PluginFile.open(name, in: options.directories)
        return try PluginImage.open(file, folder: folder)
    }

    /// Steps 7 to 10: needs, create, import, start. On an error the image is closed again.
    func bringUp(_ image: PluginImage, replacing old: PluginInstance?) throws(PluginError) -> PluginInstance {
        let instance = makeInstance(image)
        tlsProfiles.forget()
        instance.predecessor = old
        do throws(PluginError) {
            try checkNeeds(image)
            try checkOrder(image)
            try create(instance)
        } catch {
            discard(instance)
            throw error
        }
        do throws(PluginError) {
            if let old { try handOver(from: old, to: instance) }
            try start(instance)
        } catch {
            rollBack(instance)
            throw error
        }
        return instance
    }

    private func checkNeeds(_ image: PluginImage) throws(PluginError) {
        for id in image.needs where !isExtension(id) && services.find(id) == nil {
            throw PluginError(
                .badPlugin, image.name,
                "\(image.name) needs \(id), which \(options.brokerName) \(options.brokerVersion) and the plugins now "
                    + "loaded do not offer."
            )
        }
    }

    /// A plugin that is enabled and named in `after` must run already.
    private func checkOrder(_ image: PluginImage) throws(PluginError) {
        // A list that cannot be read must not keep an operator from loading what guards the broker.
        do throws(PluginError) { try loadedFile.read() } catch { log.line(.error, error.sentence) }
        let enabled = loadedFile.names
        for other in image.after where enabled.contains(other) && instance(named: other) == nil {
            throw PluginError(
                .refused, image.name,
                "\(image.name) starts after \(other), which is enabled but does not run; "
                    + "load \(other) first or take it out of \(options.loadedFile)."
            )
        }
    }

    func create(_ instance: PluginInstance) throws(PluginError) {
        let status = instance.image.entry.pointee.create(instance.abi, instance.plugin)
        guard status == statusOK else { throw refusal(instance, "create", status) }
        if let missing = cph_plugin_missing(instance.plugin) {
            // What it has made is there all the same.
            if isPresent(instance.plugin.pointee.destroy) {
                instance.plugin.pointee.destroy(instance.plugin.pointee.state)
            }
            throw PluginError(
                .badPlugin, instance.name, "\(instance.image.path) made a plugin without a \(String(cString: missing))."
            )
        }
    }

    func start(_ instance: PluginInstance) throws(PluginError) {
        let status = instance.plugin.pointee.start(instance.plugin.pointee.state)
        guard status == statusOK else { throw refusal(instance, "start", status) }
        let conf = options.confDirectory + "/\(instance.name).conf"
        if instance.config == nil, access(conf, F_OK) == 0 {
            log.line(.warning, "\(conf) has no effect: \(instance.name) declares no keys")
        }
    }

    /// The sentence of a failed life-cycle function: the plugin's own where it left one.
    func refusal(_ instance: PluginInstance, _ function: String, _ status: martlet_status) -> PluginError {
        let own = instance.takeError().map { $0.hasSuffix(".") || $0.hasSuffix("?") ? $0 : $0 + "." }
        let kind: PluginError.Kind = instance.hasBadConfig ? .badConfig : .refused
        let text = own ?? "its \(function) answered \"\(statusText(status))\" without a reason."
        return PluginError(kind, instance.name, "\(instance.name) was not loaded: \(text)")
    }

    /// Step 11: everything it registered becomes visible.
    func commit(_ instance: PluginInstance) {
        let old = instance.predecessor
        if let old {
            revokeNames(of: old)
            handOverSockets(from: old, to: instance)
            running[running.firstIndex { $0 === old }!] = instance
        } else {
            running.append(instance)
        }
        for command in instance.commands.values.sorted(by: { $0.token < $1.token }) {
            let earlier = old?.commands.values.first { $0.name == command.name }
            commands.replace(earlier?.token ?? 0, by: command)
        }
        for command in old.map({ Array($0.commands.values) }) ?? [] { commands.remove(command.token) }
        for service in instance.services.values { services.publish(service) }
        for item in instance.dynamics.sorted(by: { $0.key < $1.key }) { dynamic.publish(item.value) }
        instance.phase = .running
        instance.startedAt = cr_unix_ms()
        publishChains()
        publishHTTP()
        for poller in instance.pollers.values.sorted(by: { $0.token < $1.token }) where !poller.arm() {
            instance.log(.error, "a descriptor it asked to poll cannot be watched")
        }
        openSockets(of: instance)
    }

    /// The loaded-plugins file. The plugin runs (or does not) even if the disk is full, so a failure is only told.
    func remember(_ name: String, isLoaded: Bool) -> String? {
        do throws(PluginError) {
            try loadedFile.read()
            if isLoaded == loadedFile.names.contains(name) { return nil }
            if isLoaded { loadedFile.add(name) } else { loadedFile.remove(name) }
            try loadedFile.write()
            return nil
        } catch {
            log.line(.error, error.sentence)
            return "after a restart this will be forgotten: \(error.sentence)"
        }
    }
}

func statusText(_ status: martlet_status) -> String {
    switch Int(status) {
    case MARTLET_E_INVAL: "invalid argument"
    case MARTLET_E_NOMEM: "out of memory or over a limit"
    case MARTLET_E_NOTFOUND: "not found"
    case MARTLET_E_EXISTS: "the name is taken"
    case MARTLET_E_DENIED: "denied"
    case MARTLET_E_BUSY: "busy"
    case MARTLET_E_THREAD: "wrong thread"
    case MARTLET_E_STATE: "not in this phase"
    case MARTLET_E_UNSUPPORTED: "not supported"
    case MARTLET_E_IO: "input/output error"
    case MARTLET_E_TIMEOUT: "timeout"
    case MARTLET_E_STALE: "stale handle"
    default: "status \(status)"
    }
}
