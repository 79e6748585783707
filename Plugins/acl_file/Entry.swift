// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "acl_file", version: "1.0.0", description: "Access rules from etc/acl.conf",
        needs: ["martlet.config/1", "martlet.acl/1", "martlet.exec/1", "martlet.ctl/1"]
    ) { host, out in
        run(host, out) { AclFile($0) }
    }
}
