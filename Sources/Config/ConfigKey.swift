// SPDX-License-Identifier: Apache-2.0

/// One key, declared once: the parser, the shipped conf file and docs/config.md all read this declaration.
public struct ConfigKey: Sendable {
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Takes effect only at the next start (core) or load (plugin). Same bit as MARTLET_CFG_IMMUTABLE.
        public static let immutable = Flags(rawValue: 1)
        /// Never shown in a listing, a log or a diagnostic. Same bit as MARTLET_CFG_SECRET.
        public static let secret = Flags(rawValue: 2)
    }

    /// The full key, levels separated by dots; a level `*` stands for any name: `listener.tcp.*.backlog`.
    public let name: String
    public let type: ConfigType
    /// The one default, written as in a file; nil means the key has no value unless it is set.
    public let defaultText: String?
    /// What may be written, for people: `0..65535`. Derived from the type unless given.
    public let range: String
    public let help: String
    public let flags: Flags
    /// Heading under which the key appears in the generated files.
    public let section: String
    /// Other accepted spellings (EMQ 2.3 or 3.0). A `*` stands for the same name as in `name`, at the same rank.
    public let aliases: [String]
    /// Extra words for a value and the text each one means: `["auto": "0"]`.
    public let words: [String: String]
    /// The key whose value holds when this one is not set: `zone.*.max_inflight` → `mqtt.session.max_inflight`.
    public let inherits: String?
    /// Accepted for EMQ's sake but without effect; the sentence goes into the warning.
    public let noEffect: String?
    /// How the generated conf shows the key.
    public let sample: Sample
    /// An earlier key whose description holds for this one too: the generated conf does not say it again.
    public private(set) var describedBy: String?

    /// How a key appears in the generated conf file.
    public struct Sample: Sendable {
        /// Stands where the key has a `*`.
        public var name: String
        /// Shown when the key has no default.
        public var value: String?
        /// Written as a live line instead of a comment.
        public var isActive: Bool

        public init(name: String = "NAME", value: String? = nil, isActive: Bool = false) {
            self.name = name
            self.value = value
            self.isActive = isActive
        }
    }

    public init(
        _ name: String, _ type: ConfigType, default defaultText: String? = nil, range: String? = nil,
        flags: Flags = [], section: String = "", aliases: [String] = [], words: [String: String] = [:],
        inherits: String? = nil, noEffect: String? = nil, sample: Sample = Sample(), help: String
    ) {
        self.name = name
        self.type = type
        self.defaultText = defaultText
        self.range = range ?? type.rangeText
        self.help = help
        self.flags = flags
        self.section = section
        self.aliases = aliases
        self.words = words
        self.inherits = inherits
        self.noEffect = noEffect
        self.sample = sample
    }

    public func described(by name: String) -> ConfigKey {
        var key = self
        key.describedBy = name
        return key
    }
}

/// What a key's value may be.
public enum ConfigType: Sendable, Equatable {
    /// `on|off`, `true|false`, `yes|no`.
    case bool
    case int(ClosedRange<Int>)
    /// Bytes, written `64KB`, `1MB`, `2GB` (powers of 1024) or plain.
    case bytes(ClosedRange<Int>)
    /// Milliseconds, written `100ms`, `20s`, `1h30m`, `7d`, `2w`; a bare number counts seconds. The range is in
    /// milliseconds. More than a hundred years counts as a hundred years.
    case duration(ClosedRange<Int>)
    /// As `duration`, but a bare number counts milliseconds, where EMQ's key does.
    case milliseconds(ClosedRange<Int>)
    case decimal(ClosedRange<Double>)
    /// `60%`, 0 to 100.
    case percent
    case string
    /// A file or folder; a relative one is resolved against the install root.
    case path
    case enumeration([String])
    /// `a, b, c`.
    case list
    /// `1883`, `0.0.0.0:1883`, `[::]:1883`.
    case address
    /// `allow all`, `deny 10.0.0.0/8`.
    case accessRule
    /// `RATE,BURST` in bytes per second and bytes; `0` sets no limit.
    case byteRate
    /// `COUNT,TIME`: so many per so long; `COUNT`: so many per second; `0` sets no limit.
    case countRate

    public static let anyInt = ConfigType.int(Int.min...Int.max)
    public static let count = ConfigType.int(0...Int.max)
    public static let anyBytes = ConfigType.bytes(0...Int.max)
    public static let anyDuration = ConfigType.duration(0...Int.max)
}
