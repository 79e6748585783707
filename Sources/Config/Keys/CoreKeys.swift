// SPDX-License-Identifier: Apache-2.0

/// Every key of etc/martlet.conf, in the order in which the generated files show them.
public enum CoreKeys {
    public static let all: [ConfigKey] =
        node + log + access + flapping + mqtt + session + mqueue + zone + listeners + webSocket + tlsProfiles + broker
        + plugins
        + sysmon
        + withoutEffect

    public static let schema = Schema(all)

    /// What the generated files say at the head of a section.
    public static let notes = [
        "Zones": "A zone is a set of limits for the clients of the listeners that name it "
            + "(listener.tcp.NAME.zone). An option that a zone does not set has the value of the key it stands for; "
            + "docs/config.md names that key."
    ]
}

/// A key of the core: until the broker can change it while it runs, it takes effect at the next start.
///
/// `pending` tells what this version does not do yet: the key is then accepted with that warning and stays out of the
/// shipped file. Whoever makes the broker read the key removes the argument.
func core(
    _ section: String, _ name: String, _ type: ConfigType, default defaultText: String? = nil,
    aliases: [String] = [], words: [String: String] = [:], range: String? = nil, inherits: String? = nil,
    pending: String? = nil, sample: ConfigKey.Sample = .init(), _ help: String
) -> ConfigKey {
    ConfigKey(
        name, type, default: defaultText, range: range, flags: .immutable, section: section, aliases: aliases,
        words: words, inherits: inherits, noEffect: pending, sample: sample, help: help)
}

/// A key that EMQ knows and Martlet has no use for.
func without(effect reason: String, _ names: String...) -> [ConfigKey] {
    names.map {
        ConfigKey($0, .string, flags: .immutable, section: "Accepted without effect", noEffect: reason, help: reason)
    }
}

let shown = ConfigKey.Sample(isActive: true)
