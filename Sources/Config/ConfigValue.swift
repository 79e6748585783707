// SPDX-License-Identifier: Apache-2.0

/// Where a value comes from.
public enum ConfigSource: Sendable, Equatable, CustomStringConvertible {
    case declaredDefault
    case file(path: String, line: Int)
    case environment(variable: String)

    public var description: String {
        switch self {
        case .declaredDefault: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .environment(let variable): "environment \(variable)"
        }
    }
}

/// One checked value.
public struct ConfigValue: Sendable, Equatable {
    /// The value as written, without its quotes; an extra word (`auto`) stays as written.
    public let text: String
    public let scalar: ConfigScalar
    public let source: ConfigSource

    /// Bool gives 1 or 0; int, bytes (bytes), duration (ms), percent give their number; an enumeration the index of its
    /// word; everything else nil.
    public var integer: Int? {
        switch scalar {
        case .bool(let value): value ? 1 : 0
        case .int(let value), .word(_, let value): value
        default: nil
        }
    }
}

/// A value in the shape its type promises.
public enum ConfigScalar: Sendable, Equatable {
    case bool(Bool)
    /// int, bytes (bytes), duration (milliseconds), percent.
    case int(Int)
    case decimal(Double)
    /// string, path.
    case text(String)
    /// An enumeration's word and its index in the declaration.
    case word(String, Int)
    case list([String])
    case address(ConfigAddress)
    case accessRule(ConfigAccessRule)
    case rate(ConfigRate)
}

/// A place to listen on.
public struct ConfigAddress: Sendable, Equatable, CustomStringConvertible {
    /// A numeric IPv4 or IPv6 address without brackets; nil means every interface.
    public let host: String?
    public let port: UInt16

    public init(host: String?, port: UInt16) {
        self.host = host
        self.port = port
    }

    public var description: String {
        guard let host else { return "\(port)" }
        return host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// One line of a listener's access list.
public struct ConfigAccessRule: Sendable, Equatable {
    public let isAllowed: Bool
    /// 4 or 16 address bytes and the prefix length in bits; nil means everybody.
    public let network: Network?

    public struct Network: Sendable, Equatable {
        public let bytes: [UInt8]
        public let prefix: Int
    }
}

/// A token bucket.
public struct ConfigRate: Sendable, Equatable {
    /// Bytes (`byteRate`) or events (`countRate`) earned per `perMS`.
    public let amount: Int
    public let perMS: Int
    /// The most that can be saved up.
    public let burst: Int
}
