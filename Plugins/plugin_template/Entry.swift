// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "plugin_template", version: "1.0.0", description: "Plugin template: every hook point, in Swift",
        needs: ["martlet.config/1", "martlet.hooks/1", "martlet.auth/1", "martlet.acl/1", "martlet.ctl/1"]
    ) { host, out in
        run(host, out) { Template($0) }
    }
}
