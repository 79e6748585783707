// SPDX-License-Identifier: Apache-2.0
import CPluginKit

/// One key of etc/plugins/NAME.conf. `help` is one sentence and becomes the comment in the generated file;
/// `example` is what that file shows where there is no default.
public struct ConfigKey {
    let raw: martlet_cfg_key

    private init(
        _ key: StaticString, _ type: Int, _ value: StaticString?, _ range: StaticString?, _ options: Options,
        _ example: StaticString?, _ help: StaticString
    ) {
        raw = martlet_cfg_key(
            size: UInt32(MemoryLayout<martlet_cfg_key>.size), type: Int32(type), flags: options.rawValue,
            key: key.cString, dflt: value?.cString, range_or_enum: range?.cString, help: help.cString,
            example: example?.cString)
    }

    public struct Options: OptionSet {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Takes effect only at the next load.
        public static var immutable: Options { Options(rawValue: 1) }
        /// Never shown in a listing or a log.
        public static var secret: Options { Options(rawValue: 2) }
    }

    /// on | off, true | false, yes | no.
    public static func bool(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_BOOL, value, nil, options, example, help) }
    /// `range`: "0..65535" or "1..".
    public static func int(
        _ key: StaticString, default value: StaticString? = nil, range: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_INT, value, range, options, example, help) }
    /// "64KB", "1MB", plain bytes; `int` gives bytes.
    public static func bytes(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_BYTES, value, nil, options, example, help) }
    /// "20s", "2h", "100ms"; `int` gives milliseconds. A bare number is seconds.
    public static func duration(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_DURATION_MS, value, nil, options, example, help) }
    public static func string(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_STRING, value, nil, options, example, help) }
    /// `words`: "ram|disc|disc_only"; `int` gives the index of the word.
    public static func choice(
        _ key: StaticString, _ words: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_ENUM, value, words, options, example, help) }
    /// a, b, c: `string` gives it as written.
    public static func list(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_LIST, value, nil, options, example, help) }
    /// A file or folder; `string` gives a relative one put onto the install root.
    public static func path(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_PATH, value, nil, options, example, help) }
    /// "60%": `int` gives 60.
    public static func percent(
        _ key: StaticString, default value: StaticString? = nil, _ options: Options = [],
        example: StaticString? = nil, help: StaticString
    ) -> ConfigKey { ConfigKey(key, MARTLET_CFG_PERCENT, value, nil, options, example, help) }
}

/// martlet.config/1: declare all keys first, then read them. Everything on the control thread.
public struct Config {
    let tables: Tables

    /// A live change of one key; throw to keep the old value in force.
    public typealias Apply = (_ key: Bytes, _ value: Bytes) throws(PluginError) -> Void

    /// Declares every key and reads the file. Without `apply` no key can change while the plugin runs.
    public func declare(_ keys: [ConfigKey], apply: Apply? = nil) throws(PluginError) {
        let table = try tables.need(tables.pointee.config, "martlet.config/1")
        let raw = keys.map { $0.raw }
        guard let apply else {
            try Status(table.pointee.declare(tables.host, raw, raw.count, nil, nil)).check()
            return
        }
        let box = ApplyBox(tables, apply)
        let status = Status(
            table.pointee.declare(tables.host, raw, raw.count, ApplyBox.call, box.keep()))
        if status != .ok { box.drop() }
        try status.check()
    }

    /// Bool (1, 0), int, bytes, duration (ms), percent, or the index of a choice.
    public func int(_ key: StaticString) throws(PluginError) -> Int {
        guard let value = try optionalInt(key) else { throw missing(key) }
        return value
    }
    public func bool(_ key: StaticString) throws(PluginError) -> Bool { try int(key) != 0 }
    public func string(_ key: StaticString) throws(PluginError) -> String {
        guard let value = try optionalString(key) else { throw missing(key) }
        return value
    }
    /// nil when it is neither set nor has a default.
    public func optionalInt(_ key: StaticString) throws(PluginError) -> Int? {
        let table = try tables.need(tables.pointee.config, "martlet.config/1")
        var value: Int64 = 0
        let status = Status(table.pointee.get_int(tables.host, key.cString, &value))
        if status == .notFound { return nil }
        try status.check()
        return Int(value)
    }
    public func optionalString(_ key: StaticString) throws(PluginError) -> String? {
        let table = try tables.need(tables.pointee.config, "martlet.config/1")
        var value = martlet_bytes()
        let status = Status(table.pointee.get_string(tables.host, key.cString, &value))
        if status == .notFound { return nil }
        try status.check()
        return String(Bytes(value))
    }
    /// Every key that is set and begins with `prefix`, in the order of the file; return false to stop.
    public func each(_ prefix: StaticString, _ body: (_ key: Bytes, _ value: Bytes) -> Bool) throws(PluginError) {
        let table = try tables.need(tables.pointee.config, "martlet.config/1")
        let status = withPairBody(body) { table.pointee.each(tables.host, prefix.cString, callPairBody, $0) }
        try Status(status).check()
    }

    private func missing(_ key: StaticString) -> PluginError {
        PluginError(.notFound, "\(String(Bytes(key))) is not set and has no default.")
    }
}

private final class ApplyBox: Box {
    let apply: Config.Apply
    init(_ tables: Tables, _ apply: @escaping Config.Apply) {
        self.apply = apply
        super.init(tables)
    }
    static var call: martlet_cfg_apply {
        { user, key, value in
            Box.use(user) { (box: ApplyBox) in
                do throws(PluginError) {
                    let start = UnsafeRawPointer(key).assumingMemoryBound(to: UInt8.self)
                    try box.apply(Bytes(start: start, count: strlen(key)), Bytes(value))
                    return Status.ok.rawValue
                } catch { return Host(tables: box.tables).report(error) }
            }
        }
    }
}
