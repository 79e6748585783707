// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(
        id: "retainer", version: "1.0.0", description: "Keeps retained messages, in memory and on disc",
        needs: [
            "martlet.config/1", "martlet.hooks/1", "martlet.pubsub/1", "martlet.exec/1", "martlet.ctl/1",
            "martlet.metrics/1",
        ]
    ) { host, out in
        run(host, out) { (host) throws(PluginError) in try Retainer(checking: host) }
    }
}
