// SPDX-License-Identifier: Apache-2.0

/// Cuts a stream of response bytes into frames.
public struct CtlFrameReader {
    public struct Frame: Equatable {
        public let kind: CtlProtocol.Kind
        public let payload: [UInt8]
    }
    public struct Malformed: Error {}

    private var buffer: [UInt8] = []

    public init() {}

    public mutating func feed(_ bytes: some Sequence<UInt8>) { buffer += bytes }

    /// The next complete frame, nil until more bytes arrive.
    public mutating func next() throws(Malformed) -> Frame? {
        guard let first = buffer.first else { return nil }
        guard let kind = CtlProtocol.Kind(rawValue: first) else { throw Malformed() }
        var rest = buffer.dropFirst()
        guard let size = CtlProtocol.takeUInt32(&rest) else { return nil }
        guard size <= CtlProtocol.maxFrameBytes, kind != .exit || size == 1 else { throw Malformed() }
        guard rest.count >= size else { return nil }
        let payload = Array(rest.prefix(size))
        buffer.removeFirst(5 + size)
        return Frame(kind: kind, payload: payload)
    }
}
