// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "auth_scram", version: "1.0.0", description: "Enhanced authentication with SCRAM-SHA-256",
        needs: [
            "martlet.config/1", "martlet.auth/1", "martlet.client/1", "martlet.exec/1", "martlet.hooks/1",
            "martlet.kv/1", "martlet.ctl/1",
        ]
    ) { host, out in
        run(host, out) { (host) throws(PluginError) in AuthScram(host) }
    }
}
