// SPDX-License-Identifier: Apache-2.0

/// The control packets, written byte by byte: they are rare, so arrays will do.
enum Packet {
    static let disconnect: [UInt8] = [0xE0, 0]
    static let pingRequest: [UInt8] = [0xC0, 0]

    struct Connect {
        var clientID: String
        var version: UInt8
        var keepAlive: UInt16
        /// Keep the session after the connection ends, for as long as the benchmark may take (an hour).
        var persistent = false
        var username: String?
        var password: String?
    }

    /// MQTT 5 §3.1, MQTT 3.1.1 §3.1.
    static func connect(_ c: Connect) -> [UInt8] {
        var flags: UInt8 = 0
        // In MQTT 5 the bit is Clean Start: a persistent client asks for its old session back.
        if !c.persistent { flags |= 0x02 }
        if c.username != nil { flags |= 0x80 }
        if c.password != nil { flags |= 0x40 }
        var body = string("MQTT") + [c.version, flags] + int16(Int(c.keepAlive))
        if c.version == 5 { body += c.persistent ? [5, 0x11, 0, 0, 0x0E, 0x10] : [0] }
        body += string(c.clientID)
        if let username = c.username { body += string(username) }
        if let password = c.password { body += string(password) }
        return packet(0x10, body)
    }

    static func subscribe(_ filters: [String], qos: UInt8, version: UInt8, packetID: Int = 1) -> [UInt8] {
        var body = int16(packetID) + (version == 5 ? [0] : [])
        for filter in filters { body += string(filter) + [qos] }
        return packet(0x82, body)
    }

    static func connack(reason: UInt8 = 0) -> [UInt8] { [0x20, 2, 0, reason] }
    static func suback(packetID: Int, codes: [UInt8]) -> [UInt8] { packet(0x90, int16(packetID) + codes) }

    static func publish(_ topic: String, payload: [UInt8], qos: UInt8, retain: Bool, version: UInt8) -> [UInt8] {
        let properties: [UInt8] = version == 5 ? [0] : []
        let identifier: [UInt8] = qos > 0 ? [0, 1] : []
        return packet(0x30 | qos << 1 | (retain ? 1 : 0), string(topic) + identifier + properties + payload)
    }

    static func string(_ text: String) -> [UInt8] { int16(text.utf8.count) + text.utf8 }
    static func int16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }

    static func packet(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
        var header = [first]
        var length = body.count
        repeat {
            let more = length > 0x7F
            header.append(UInt8(length & 0x7F) | (more ? 0x80 : 0))
            length >>= 7
        } while length > 0
        return header + body
    }
}

/// The 24 bytes every payload starts with, in the byte order of the machine.
struct Stamp {
    static let size = 24

    /// Tells this run's messages from anybody else's.
    var run: UInt32
    var publisher: UInt32
    var sequence: UInt64
    /// CLOCK_MONOTONIC, nanoseconds.
    var time: UInt64

    @inline(__always)
    init(_ p: UnsafePointer<UInt8>) {
        let raw = UnsafeRawPointer(p)
        run = raw.loadUnaligned(as: UInt32.self)
        publisher = raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        sequence = raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        time = raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    }

    init(run: UInt32, publisher: UInt32, sequence: UInt64, time: UInt64) {
        (self.run, self.publisher, self.sequence, self.time) = (run, publisher, sequence, time)
    }

    func write(to p: UnsafeMutablePointer<UInt8>) {
        let raw = UnsafeMutableRawPointer(p)
        raw.storeBytes(of: run, as: UInt32.self)
        raw.storeBytes(of: publisher, toByteOffset: 4, as: UInt32.self)
        raw.storeBytes(of: sequence, toByteOffset: 8, as: UInt64.self)
        raw.storeBytes(of: time, toByteOffset: 16, as: UInt64.self)
    }
}

/// A PUBLISH packet encoded once; each message is a copy of it with sequence, time, packet identifier and topic
/// digits patched in.
struct PublishTemplate {
    enum Topic: Sendable {
        case fixed(String)
        /// `prefix` and the sequence number in 7 digits.
        case numbered(prefix: String)
        /// `a/RRRRRR/x/NNNNNN/t`: R random, N one of `filters` numbers; matched by exactly one filter `a/+/x/N/#`.
        case wildcard(prefix: String, filters: Int)
    }

    static let numberDigits = 7
    static let wildcardDigits = 6

    let bytes: UnsafeMutablePointer<UInt8>
    let length: Int
    /// Where the payload begins; without one (a retained message is deleted) there is no stamp.
    private let stampAt: Int
    private let packetIDAt: Int
    private let firstDigitsAt: Int
    private let secondDigitsAt: Int
    private let filters: UInt64

    /// - Parameter size: bytes of payload, 0 or at least `Stamp.size`.
    init(_ topic: Topic, size: Int, qos: UInt8, retain: Bool, version: UInt8, run: UInt32, publisher: UInt32) {
        let zeros = String(repeating: "0", count: Self.wildcardDigits)
        let text: String
        switch topic {
        case .fixed(let name): text = name
        case .numbered(let prefix): text = prefix + String(repeating: "0", count: Self.numberDigits)
        case .wildcard(let prefix, _): text = "\(prefix)/\(zeros)/x/\(zeros)/t"
        }
        var payload = [UInt8](repeating: 0x2E, count: size)
        if size > 0 {
            payload.withUnsafeMutableBufferPointer {
                Stamp(run: run, publisher: publisher, sequence: 0, time: 0).write(to: $0.baseAddress!)
            }
        }
        let packet = Packet.publish(text, payload: payload, qos: qos, retain: retain, version: version)
        length = packet.count
        bytes = .allocate(capacity: length)
        bytes.initialize(from: packet, count: length)
        stampAt = length - size
        packetIDAt = qos > 0 ? stampAt - (version == 5 ? 3 : 2) : -1
        let topicEnd = stampAt - (version == 5 ? 1 : 0) - (qos > 0 ? 2 : 0)
        switch topic {
        case .fixed: (firstDigitsAt, secondDigitsAt, filters) = (-1, -1, 0)
        case .numbered: (firstDigitsAt, secondDigitsAt, filters) = (topicEnd - Self.numberDigits, -1, 0)
        case .wildcard(_, let count):
            (firstDigitsAt, secondDigitsAt, filters) = (topicEnd - 17, topicEnd - 8, UInt64(count))
        }
    }

    func free() { bytes.deallocate() }

    /// Writes one message of `length` bytes to `p`.
    @inline(__always)
    func write(
        to p: UnsafeMutablePointer<UInt8>, sequence: UInt64, time: UInt64, packetID: UInt16, random: inout UInt64
    ) {
        p.update(from: bytes, count: length)
        if stampAt < length {
            let stamp = UnsafeMutableRawPointer(p + stampAt)
            stamp.storeBytes(of: sequence, toByteOffset: 8, as: UInt64.self)
            stamp.storeBytes(of: time, toByteOffset: 16, as: UInt64.self)
        }
        if packetIDAt >= 0 {
            p[packetIDAt] = UInt8(packetID >> 8)
            p[packetIDAt + 1] = UInt8(truncatingIfNeeded: packetID)
        }
        if firstDigitsAt >= 0 { patchTopic(p, sequence, &random) }
    }

    @inline(never)
    private func patchTopic(_ p: UnsafeMutablePointer<UInt8>, _ sequence: UInt64, _ random: inout UInt64) {
        guard secondDigitsAt >= 0 else {
            return Self.digits(sequence, Self.numberDigits, p + firstDigitsAt)
        }
        // xorshift64: the topics must differ, nothing more.
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        Self.digits(random >> 40, Self.wildcardDigits, p + firstDigitsAt)
        Self.digits((random & 0xFFFF_FFFF) * filters >> 32, Self.wildcardDigits, p + secondDigitsAt)
    }

    static func digits(_ value: UInt64, _ width: Int, _ p: UnsafeMutablePointer<UInt8>) {
        var rest = value
        for i in stride(from: width - 1, through: 0, by: -1) {
            p[i] = 0x30 + UInt8(rest % 10)
            rest /= 10
        }
    }
}
