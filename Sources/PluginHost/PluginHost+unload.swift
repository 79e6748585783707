// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor

/// What became of an unloaded plugin.
public struct UnloadReport: Sendable, Equatable {
    public let name: String
    /// Why the image stays mapped; nil: it is gone.
    public var resident: String?
    public var notes: [String] = []
}

extension PluginHost {
    /// Stops a plugin, unmaps it and takes it out of the loaded-plugins file.
    public func unload(_ typed: String) throws(PluginError) -> UnloadReport {
        let name = canonicalPluginName(typed)
        guard let instance = instance(named: name) else { throw notRunning(name) }
        guard !options.required.contains(name) else {
            throw PluginError(
                .refused, name, "\(name) is in plugins.required of martlet.conf: the broker shall not run without it.")
        }
        try checkNotBorrowed(instance, "Unload")
        running.removeAll { $0 === instance }
        var report = UnloadReport(name: name)
        report.resident = end(instance)
        remember(name, isLoaded: false).map { report.notes.append($0) }
        log.line(.notice, "plugin \(name) is unloaded" + (report.resident.map { "; \($0)" } ?? ""))
        return report
    }

    /// Ends all plugins, the last loaded first, when the broker stops. The loaded-plugins file stays as it is.
    public func shutdown() {
        while let instance = running.popLast() { _ = end(instance) }
        pool.close()
        http.stop()
        store.close()
    }

    func notRunning(_ name: String) -> PluginError {
        let installed = installedPlugins(in: options.directories)
        if installed.contains(name) {
            return PluginError(.notStarted, name, "\(name) is not loaded (not_started).")
        }
        let near = nearestName(to: name, among: running.map(\.name)).map { " Did you mean \($0)?" } ?? ""
        return PluginError(.notFound, name, "there is no plugin \(oneLine(name.utf8, limit: 80)) (not_found).\(near)")
    }

    func checkNotBorrowed(_ instance: PluginInstance, _ verb: String) throws(PluginError) {
        let borrowers = services.borrowers(of: instance)
        guard !borrowers.isEmpty else { return }
        let list =
            borrowers.count == 1
            ? borrowers[0] : borrowers.dropLast().joined(separator: ", ") + " and " + borrowers.last!
        throw PluginError(.inUse, instance.name, "\(instance.name) is used by \(list). Unload \(list) first.")
    }

    /// Steps 2 to 9 of an unload. Returns why the image stays mapped, nil when it is gone.
    /// - Parameter graceMS: how long its open HTTP requests may still be answered: what they decide about clients would
    ///   be lost.
    func end(_ instance: PluginInstance, graceMS: Int = 0) -> String? {
        instance.phase = .ending
        instance.http.refuse()
        revoke(instance)
        if graceMS == 0 { cancelRequests(of: instance) }
        publishChains()
        publishHTTP()
        _ = wait(for: instance, limitMS: graceMS) { instance.http.openCalls == 0 }
        cancelRequests(of: instance)
        // Tasks on their way may still give the answers they owe; what is open after them nobody will answer.
        _ = settle(instance)
        broker.abandonDeferrals(of: instance.owner)
        broker.endFeeds(of: instance.owner)
        httpServer?.endRequests(of: instance.owner, again: running.contains { $0.name == instance.name })
        let isStopped = stop(instance)
        broker.quiesce()
        guard settle(instance), isStopped else { return abandon(instance) }
        return destroy(instance)
    }

    /// A start that failed: nothing was visible yet, but tasks may be on their way.
    func rollBack(_ instance: PluginInstance) {
        resumeLoops()
        instance.phase = .ending
        cancelRequests(of: instance)
        revoke(instance)
        broker.quiesce()
        if settle(instance) { _ = destroy(instance) } else { _ = abandon(instance) }
    }

    /// A create that failed: there is no object to destroy, or not any more.
    func discard(_ instance: PluginInstance) {
        instance.phase = .ending
        cancelRequests(of: instance)
        revoke(instance)
        if settle(instance) { _ = close(instance) } else { _ = abandon(instance) }
    }

    // MARK: - Steps

    /// Ends timers and watches and takes the plugin's names away, and gives back what it borrowed.
    private func revoke(_ instance: PluginInstance) {
        for poller in instance.pollers.values { poller.cancel() }
        instance.pollers = [:]
        closeSockets(of: instance)
        revokeNames(of: instance)
        for command in instance.commands.values { commands.remove(command.token) }
        for service in instance.borrows.values { ServiceTable.giveBack(service, by: instance) }
        instance.borrows = [:]
    }

    func revokeNames(of instance: PluginInstance) {
        for service in instance.services.values { services.remove(service) }
        for item in instance.dynamics.values { dynamic.remove(item) }
    }

    /// True when no task and no dynamic call of it is left within the limit.
    private func settle(_ instance: PluginInstance) -> Bool {
        wait(for: instance, limitMS: options.restLimitMS) {
            instance.isAtRest
                && instance.dynamics.values.allSatisfy { $0.inFlight.load(ordering: .sequentiallyConsistent) == 0 }
        }
    }

    /// True when the plugin says that it is at rest.
    private func stop(_ instance: PluginInstance) -> Bool {
        _ = instance.takeError()
        let status = instance.plugin.pointee.stop(instance.plugin.pointee.state)
        if status == statusBusy {
            return wait(for: instance, limitMS: options.restLimitMS) {
                instance.isStopped.load(ordering: .sequentiallyConsistent)
            }
        }
        if status != statusOK {
            instance.log(.warning, "its stop failed: \(instance.takeError() ?? statusText(status))")
        }
        return true
    }

    private func destroy(_ instance: PluginInstance) -> String? {
        instance.plugin.pointee.destroy(instance.plugin.pointee.state)
        return close(instance)
    }

    private func close(_ instance: PluginInstance) -> String? {
        let reason = instance.image.close() ? nil : instance.image.pinned ?? "something in the process still holds it"
        if let reason {
            if instance.image.pinned == nil {
                instance.log(
                    .warning,
                    "its image is still mapped after dlclose; "
                        + "a thread-local destructor or a GNU unique symbol can be why"
                )
            }
            keep(instance, "resident until restart: \(reason)")
        }
        forget(instance)
        return reason.map { "resident until restart: \($0)" }
    }

    /// It does not come to rest: its code must stay, and its object as well.
    private func abandon(_ instance: PluginInstance) -> String {
        let reason =
            "it did not come to rest within \(options.restLimitMS) ms and stays in memory until the broker restarts"
        instance.log(.error, reason)
        keep(instance, reason)
        forget(instance)
        return reason
    }

    private func keep(_ instance: PluginInstance, _ reason: String) {
        residents.append(
            Resident(name: instance.name, version: instance.image.version, reason: reason, instance: instance))
    }

    private func forget(_ instance: PluginInstance) {
        metricTable.release(instance)
        if !running.contains(where: { $0.name == instance.name && $0 !== instance }) {
            alarms.clearAll(of: instance.name)
        }
        instance.phase = .gone
        instance.chains = ChainRegistrations()
        instance.dynamics = [:]
        instance.services = [:]
        instance.commands = [:]
        instance.httpRoutes = [:]
        instance.httpAuthenticators = [:]
        instance.config = nil
        instance.predecessor = nil
        forgetOwner(instance)
    }
}
