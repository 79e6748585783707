// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Plugins"

    static let plugins: [ConfigKey] = [
        core(
            section, "plugins.dir", .path, default: "plugins", aliases: ["plugins.expand_plugins_dir"],
            "Folder of the plugins' libraries."),
        core(
            section, "plugins.etc_dir", .path, default: "etc/plugins", aliases: ["mqtt.plugins.etc_dir"],
            "Folder of the plugins' conf files."),
        core(
            section, "plugins.loaded_file", .path, default: "data/loaded_plugins",
            aliases: ["mqtt.plugins.loaded_file"],
            "The plugins to load at start, one name a line; plugins load and unload keep it."),
        core(
            section, "plugins.default", .list, default: "retainer,acl_file",
            "Loaded when that file does not exist yet."),
    ]
}
