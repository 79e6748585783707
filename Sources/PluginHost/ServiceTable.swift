// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// Tables that plugins offer each other. The control thread's; the counting is what keeps a borrowed table mapped.
final class ServiceTable {
    final class Service {
        let id: String
        let table: UnsafeRawPointer
        unowned let provider: PluginInstance
        /// Who holds it, once per borrow.
        var borrowers: [PluginInstance] = []

        init(_ id: String, _ table: UnsafeRawPointer, _ provider: PluginInstance) {
            self.id = id
            self.table = table
            self.provider = provider
        }
    }

    private var published: [String: Service] = [:]

    func find(_ id: String) -> Service? { published[id] }

    func publish(_ service: Service) { published[service.id] = service }

    func remove(_ service: Service) {
        if published[service.id] === service { published[service.id] = nil }
    }

    /// Names of the plugins that hold something of this provider, each once, in the order they borrowed.
    func borrowers(of provider: PluginInstance) -> [String] {
        var names: [String] = []
        for service in provider.services.values.sorted(by: { $0.id < $1.id }) {
            for borrower in service.borrowers where borrower !== provider && !names.contains(borrower.name) {
                names.append(borrower.name)
            }
        }
        return names
    }

    static func giveBack(_ service: Service, by borrower: PluginInstance) {
        if let index = service.borrowers.firstIndex(where: { $0 === borrower }) { service.borrowers.remove(at: index) }
    }
}
