// SPDX-License-Identifier: Apache-2.0

/// The head of one HTTP/1.1 request, gathered from pieces of any size: the request line and the field lines up to the
/// empty one. RFC 9112 §2 to §5, read strictly: lines end in CR LF, nothing is folded, a name has no space behind it.
struct RequestHead {
    enum State: Equatable {
        /// More bytes are needed.
        case partial
        case complete
        case malformed
        /// More than `limit` bytes and no end.
        case tooLarge
    }

    /// Bytes a head may have, its empty line counted.
    static let limit = 8192

    private(set) var state = State.partial
    private(set) var method = ""
    /// As sent: "/mqtt?x=1".
    private(set) var target = ""
    /// "HTTP/1.1"
    private(set) var version = ""
    private var fields: [(name: String, value: String)] = []
    private var bytes: [UInt8] = []
    /// The one empty line that may stand in front of the request.
    private var hasSkipped = false

    var isEmpty: Bool { bytes.isEmpty }

    /// Takes what belongs to the head; returns how many bytes that were.
    mutating func take(_ input: UnsafeRawBufferPointer) -> Int {
        // Further pieces let it grow by itself: in exact steps, single bytes would be copied over and over.
        if bytes.isEmpty { bytes.reserveCapacity(min(Self.limit, input.count)) }
        for (at, byte) in input.enumerated() {
            guard bytes.count < Self.limit else {
                state = .tooLarge
                return at
            }
            let last = bytes.last
            bytes.append(byte)
            if bytes.count == 2, last == 0x0D, byte == 0x0A, !hasSkipped {
                // [RFC 9112 §2.2] Robust: an empty line in front of the request is passed over, once.
                hasSkipped = true
                bytes = []
                continue
            }
            guard mayFollow(byte, last) else {
                state = .malformed
                return at + 1
            }
            if byte == 0x0A, bytes.count > 3, bytes[bytes.count - 3] == 0x0A {
                parse()
                return at + 1
            }
        }
        return input.count
    }

    /// CR and LF only as a pair, no other control characters but the tab. Whoever speaks TLS or MQTT at this door is
    /// found out by the first byte.
    private func mayFollow(_ byte: UInt8, _ last: UInt8?) -> Bool {
        if last == 0x0D { return byte == 0x0A }
        switch byte {
        case 0x0A: return false
        case 0x09: return last != nil
        case 0x0D: return last != nil || !hasSkipped
        default: return byte >= 0x20 && byte != 0x7F
        }
    }

    private mutating func parse() {
        let lines = bytes.dropLast(4).split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
            line.last == 0x0D ? line.dropLast() : line
        }
        bytes = []
        let words = lines[0].split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3, isToken(words[0]), !words[1].isEmpty else { return state = .malformed }
        method = text(words[0])
        target = text(words[1])
        version = text(words[2])
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 0x3A), isToken(line[..<colon]) else { return state = .malformed }
            fields.append((text(line[..<colon]).lowercased(), text(trimmed(line[(colon + 1)...]))))
        }
        state = .complete
    }

    /// Values of all lines of this name, in the order they came.
    /// - Parameter name: in lower case
    func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// The members of a list that may stand on several lines, without empty ones. RFC 9110 §5.6.1
    func list(_ name: String) -> [String] {
        values(name).flatMap { value in
            value.utf8.split(separator: 0x2C).map { text(trimmed($0)) }.filter { !$0.isEmpty }
        }
    }

    /// The path of the target, without its query. A proxy's absolute form is understood. RFC 9112 §3.2
    var path: String {
        var rest = Substring(target)
        for scheme in ["http://", "https://"] where rest.lowercased().hasPrefix(scheme) {
            let authority = rest.dropFirst(scheme.count)
            rest = authority.firstIndex(of: "/").map { authority[$0...] } ?? "/"
            break
        }
        return String(rest.prefix { $0 != "?" })
    }
}

private func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

/// Without the spaces and tabs at both ends.
private func trimmed<Bytes: BidirectionalCollection<UInt8>>(_ bytes: Bytes) -> Bytes.SubSequence {
    let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    var rest = bytes.drop(while: isBlank)
    while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
    return rest
}

/// RFC 9110 §5.6.2
private func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
    !bytes.isEmpty
        && bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}
