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
            "The plugins to load at start, a line `NAME.` for each; plugins load and unload keep it."),
        core(
            section, "plugins.default", .list, default: "retainer,acl_file",
            "Loaded when that file does not exist yet."),
        core(
            section, "plugins.required", .list, sample: .init(value: "acl_file,auth_username"),
            "The broker does not start unless these run: without one that guards it, it would let everybody in. They "
                + "cannot be unloaded, but reloaded."),
    ]
}
