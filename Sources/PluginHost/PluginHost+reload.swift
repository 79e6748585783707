// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CPluginHost

extension PluginHost {
    /// Replaces a running plugin by the file that is there now, without a gap: the new image starts beside the old one,
    /// takes over its state and its names, and one swap of the chains ends the old one. If the new image fails at any
    /// step, the old one keeps running.
    public func reload(_ typed: String) throws(PluginError) -> LoadReport {
        let name = canonicalPluginName(typed)
        guard let old = instance(named: name) else { throw notRunning(name) }
        try checkNotBorrowed(old, "Reload")
        let new: PluginInstance
        do throws(PluginError) {
            let image = try openImage(name)
            new = try bringUp(image, replacing: old)
        } catch {
            throw PluginError(
                error.kind, name, error.sentence + " The old \(name) \(old.image.version) keeps running.")
        }
        commit(new)
        var report = LoadReport(name: name, version: new.image.version)
        if let resident = end(old, graceMS: options.requestGraceMS) {
            report.notes.append("the old \(name) \(old.image.version): \(resident).")
        }
        new.predecessor = nil
        log.line(.notice, "plugin \(name) \(old.image.version) is replaced by \(new.image.version)")
        return report
    }

    func upgradeTable(of instance: PluginInstance) -> UnsafePointer<martlet_upgrade_v1>? {
        guard let get = instance.plugin.pointee.get_extension,
            let raw = get(instance.plugin.pointee.state, MARTLET_EXT_UPGRADE)
        else {
            return nil
        }
        let table = raw.assumingMemoryBound(to: martlet_upgrade_v1.self)
        return cph_upgrade_complete(table) ? table : nil
    }

    /// Largest state a plugin may hand over.
    static let maxStateBytes = 256 << 20

    /// Between create and start of the new image: with all loops held, so that no event comes between the export and
    /// the swap of the chains, which lets them go.
    func handOver(from old: PluginInstance, to new: PluginInstance) throws(PluginError) {
        guard let source = upgradeTable(of: old), let target = upgradeTable(of: new) else { return }
        pauseLoops()
        let state = try exportState(old, source)
        let status = state.withUnsafeBytes { target.pointee.import_state(new.plugin.pointee.state, martlet_bytes($0)) }
        guard status == statusOK else { throw refusal(new, "import_state", status) }
    }

    private func exportState(
        _ old: PluginInstance, _ table: UnsafePointer<martlet_upgrade_v1>
    ) throws(PluginError) -> [UInt8] {
        let sink = StateSink()
        _ = old.takeError()
        let status = withExtendedLifetime(sink) {
            table.pointee.export_state(
                old.plugin.pointee.state,
                { to, bytes in
                    guard let to else { return }
                    Unmanaged<StateSink>.fromOpaque(to).takeUnretainedValue().take(bytes)
                }, Unmanaged.passUnretained(sink).toOpaque())
        }
        guard status == statusOK else { throw refusal(old, "export_state", status) }
        guard !sink.isTooLarge else {
            throw PluginError(
                .refused, old.name,
                "\(old.name) was not reloaded: its state is larger than \(Self.maxStateBytes >> 20) MB.")
        }
        return sink.bytes
    }
}

private final class StateSink {
    var bytes: [UInt8] = []
    var isTooLarge = false

    func take(_ more: martlet_bytes) {
        guard let buffer = more.buffer, bytes.count + buffer.count <= PluginHost.maxStateBytes else {
            isTooLarge = true
            return
        }
        bytes += buffer
    }
}
