// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a start of the broker made of the loaded-plugins file.
public struct BootReport: Sendable {
    public var loaded: [String] = []
    /// One sentence each; they do not stop the start.
    public var failures: [PluginError] = []
}

extension PluginHost {
    /// Loads every plugin of the loaded-plugins file, those named in `after` first. The file stays as it is, so that a
    /// plugin that fails today is tried again at the next start. Where there is no such file, `defaults` are what it
    /// says from now on, and are loaded even if it cannot be written.
    public func boot(first defaults: [String] = []) -> BootReport {
        var report = BootReport()
        do throws(PluginError) {
            if access(loadedFile.path, F_OK) != 0, errno == ENOENT {
                for name in defaults { loadedFile.add(name) }
                try loadedFile.write()
            } else {
                try loadedFile.read()
            }
        } catch {
            report.failures.append(error)
        }
        for (number, text) in loadedFile.strangeLines {
            report.failures.append(
                PluginError(
                    .host, "",
                    "\(loadedFile.path):\(number): \"\(oneLine(text.utf8, limit: 80))\" "
                        + "is no plugin name followed by a dot."
                ))
        }
        var images: [String: PluginImage] = [:]
        let wanted = loadedFile.names.filter { instance(named: $0) == nil }
        for name in wanted {
            do throws(PluginError) { images[name] = try openImage(name) } catch { report.failures.append(error) }
        }
        for name in Self.order(wanted.filter { images[$0] != nil }, after: { images[$0]?.after ?? [] }) {
            do throws(PluginError) {
                commit(try bringUp(images[name]!, replacing: nil))
                report.loaded.append(name)
            } catch {
                report.failures.append(error)
            }
        }
        for failure in report.failures { log.line(.error, failure.sentence) }
        if !report.loaded.isEmpty { log.line(.notice, "plugins loaded: \(report.loaded.joined(separator: ", "))") }
        return report
    }

    /// The first plugin of `required` that does not run.
    public func firstMissing() -> String? { options.required.first { instance(named: $0) == nil } }

    /// The names in an order in which everything follows what it wants to follow, otherwise as given. A circle is
    /// entered at its first member.
    static func order(_ names: [String], after: (String) -> [String]) -> [String] {
        var done: [String] = []
        var entered: Set<String> = []
        func visit(_ name: String) {
            guard names.contains(name), entered.insert(name).inserted else { return }
            for other in after(name) { visit(other) }
            done.append(name)
        }
        for name in names { visit(name) }
        return done
    }
}
