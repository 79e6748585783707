// SPDX-License-Identifier: Apache-2.0

/// The bytes between martlet_ctl and the broker; docs/ctl-protocol.md describes them.
public enum CtlProtocol {
    /// A request above this is refused: by the client before it sends, by the server before it reads on.
    public static let maxRequestBytes = 1 << 20
    /// A larger output travels in several frames.
    public static let maxFrameBytes = 1 << 16
    public static let defaultSocket = "data/martlet.sock"
    public static let defaultNode = "martlet@127.0.0.1"

    /// The kinds of response frames.
    public enum Kind: UInt8, Sendable {
        /// Bytes for standard output.
        case output = 0x6F  // 'o'
        /// Bytes for standard error.
        case error = 0x65  // 'e'
        /// One byte, the exit status; nothing follows.
        case exit = 0x78  // 'x'
    }

    /// The whole request: its length, then the argument count, then each argument with its length.
    public static func request(_ arguments: [[UInt8]]) -> [UInt8] {
        let size = arguments.reduce(4) { $0 + 4 + $1.count }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + size)
        append(size, to: &bytes)
        append(arguments.count, to: &bytes)
        for argument in arguments {
            append(argument.count, to: &bytes)
            bytes += argument
        }
        return bytes
    }

    /// The arguments of a request's body (what follows the length); nil when it is malformed.
    public static func arguments(ofRequest body: ArraySlice<UInt8>) -> [[UInt8]]? {
        var rest = body
        guard let count = takeUInt32(&rest), count <= rest.count / 4 else { return nil }
        var arguments: [[UInt8]] = []
        for _ in 0..<count {
            guard let size = takeUInt32(&rest), size <= rest.count else { return nil }
            arguments.append(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        return rest.isEmpty ? arguments : nil
    }

    /// One response frame.
    public static func frame(_ kind: Kind, _ payload: some Collection<UInt8>) -> [UInt8] {
        var bytes = [kind.rawValue]
        append(payload.count, to: &bytes)
        bytes += payload
        return bytes
    }

    /// Output of any size as frames a client accepts.
    public static func frames(_ kind: Kind, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = payload[...]
        while !rest.isEmpty {
            bytes += frame(kind, rest.prefix(maxFrameBytes))
            rest = rest.dropFirst(maxFrameBytes)
        }
        return bytes
    }

    public static func exit(_ status: UInt8) -> [UInt8] { frame(.exit, CollectionOfOne(status)) }

    /// The number in the first four bytes, big-endian, or nil when there are fewer.
    public static func takeUInt32(_ bytes: inout ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        let value = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        bytes = bytes.dropFirst(4)
        return value
    }

    private static func append(_ value: Int, to bytes: inout [UInt8]) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
}
