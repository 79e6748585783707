// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config

extension PluginHost {
    /// The commented conf file of a plugin, from the keys its image declares; empty when it declares none.
    ///
    /// The image is loaded as for a start that config.declare ends: no conf file is read, nothing becomes visible, and
    /// what the plugin did before is rolled back.
    public func defaultConf(_ typed: String) throws(PluginError) -> String {
        let name = canonicalPluginName(typed)
        let image = try openImage(name)
        let description = image.description
        let instance = makeInstance(image)
        instance.onlyDeclares = true
        let declared = try declare(instance)
        guard let declared, !declared.keys.isEmpty else { return "" }
        return renderPluginConf(
            declared.keys, name: name, description: description, canChange: declared.hasApply)
    }

    private func declare(_ instance: PluginInstance) throws(PluginError) -> (keys: [ConfigKey], hasApply: Bool)? {
        do throws(PluginError) {
            try create(instance)
        } catch {
            discard(instance)
            if instance.declared == nil { throw error }
            return instance.declared
        }
        do throws(PluginError) {
            try start(instance)
            _ = end(instance)
        } catch {
            rollBack(instance)
            if instance.declared == nil { throw error }
        }
        return instance.declared
    }
}
