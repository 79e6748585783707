// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "echo", version: "1.0.0", description: "Sends back what it is sent, over TCP and UDP",
        needs: ["martlet.config/1", "martlet.ctl/1", "martlet.net/1"]
    ) { host, out in
        run(host, out) { Echo($0) }
    }
}
