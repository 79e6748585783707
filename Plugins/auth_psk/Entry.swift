// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "auth_psk", version: "1.0.0", description: "Shared keys of TLS clients from etc/psk.conf",
        needs: ["martlet.config/1", "martlet.psk/1", "martlet.exec/1", "martlet.ctl/1"]
    ) { host, out in
        run(host, out) { AuthPSK($0) }
    }
}
