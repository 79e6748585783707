// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config
import Sockets

/// `martlet_net_options` checked, with the defaults of net.h where it is silent.
struct NetOptions {
    var terms = StreamTerms()
    var backlog: Int32 = 1024
    /// Empty: no TLS.
    var tlsProfile = ""

    init(_ pointer: UnsafePointer<martlet_net_options>?) throws(RegistrationError) {
        guard let pointer else { return }
        let given = try Self.read(pointer)
        if given.max_connections > 0 { terms.maxConnections = Int(given.max_connections) }
        if given.backlog > 0 { backlog = Int32(clamping: given.backlog) }
        try setSizes(given)
        setTimes(given)
        if let admits = try Self.access(given.access) { terms.admits = admits }
        tlsProfile = given.tls_profile.line(limit: 128)
    }

    /// As far as the plugin knows the struct; what it does not know is zero.
    private static func read(
        _ pointer: UnsafePointer<martlet_net_options>
    ) throws(RegistrationError) -> martlet_net_options {
        var options = martlet_net_options()
        let size = Int(UnsafeRawPointer(pointer).load(as: UInt32.self))
        guard size >= 4, size <= 65536 else {
            throw RegistrationError(statusInvalid, "the size of the options is \(size)")
        }
        withUnsafeMutableBytes(of: &options) { to in
            to.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(size, to.count)))
        }
        return options
    }

    private mutating func setSizes(_ given: martlet_net_options) throws(RegistrationError) {
        guard given.max_input <= 16 << 20, given.high_water <= 64 << 20 else {
            throw RegistrationError(statusInvalid, "max_input may be 16 MiB and high_water 64 MiB at most")
        }
        if given.max_input > 0 { terms.limits.maxInput = Int(given.max_input) }
        if given.high_water > 0 { terms.limits.highWater = Int(given.high_water) }
        terms.limits.lowWater = given.low_water > 0 ? Int(given.low_water) : terms.limits.highWater / 4
        guard terms.limits.lowWater < terms.limits.highWater else {
            throw RegistrationError(statusInvalid, "low_water must be below high_water")
        }
    }

    private mutating func setTimes(_ given: martlet_net_options) {
        terms.limits.idleTimeout = UInt64(given.idle_timeout_ms)
        if given.send_timeout_ms > 0 {
            terms.limits.sendTimeout = given.send_timeout_ms == .max ? 0 : UInt64(given.send_timeout_ms)
        }
        if given.connect_timeout_ms > 0 { terms.limits.connectTimeout = UInt64(given.connect_timeout_ms) }
    }

    private static func access(
        _ text: martlet_bytes
    ) throws(RegistrationError) -> (@Sendable (SocketAddress) -> Bool)? {
        guard let bytes = text.buffer, bytes.count <= 65536 else {
            throw RegistrationError(statusInvalid, "the access rules are NULL or too long")
        }
        var rules: [ConfigAccessRule] = []
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let text = line.trimmed
            if text.isEmpty { continue }
            guard let rule = ConfigAccessRule(text) else {
                throw RegistrationError(
                    statusInvalid,
                    "\"\(oneLine(text.utf8, limit: 80))\" is no access rule: write allow or deny, then all, an address "
                        + "or a network")
            }
            rules.append(rule)
        }
        guard !rules.isEmpty else { return nil }
        let list = rules
        return { peer in list.first { $0.fits(peer) }?.isAllowed ?? true }
    }
}

extension DatagramTerms {
    init(_ options: NetOptions) {
        self.init()
        highWater = options.terms.limits.highWater
        admits = options.terms.admits
        maxAssociations = options.terms.maxConnections
        handshakeTimeout = options.terms.limits.connectTimeout
        idleTimeout = options.terms.limits.idleTimeout
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}

extension ConfigAccessRule {
    /// A peer of ::ffff:a.b.c.d is matched as IPv4.
    func fits(_ peer: SocketAddress) -> Bool {
        guard let network else { return true }
        let (rule, prefix) = Self.plain(network.bytes, network.prefix)
        let bytes = Self.plain((0..<(peer.isIPv6 ? 16 : 4)).map { peer.bytes[$0] }, peer.isIPv6 ? 128 : 32).bytes
        guard rule.count == bytes.count else { return false }
        for bit in stride(from: 0, to: prefix, by: 8) {
            let mask = prefix - bit >= 8 ? UInt8.max : UInt8.max << UInt8(8 - (prefix - bit))
            if (rule[bit / 8] ^ bytes[bit / 8]) & mask != 0 { return false }
        }
        return true
    }

    private static func plain(_ bytes: [UInt8], _ prefix: Int) -> (bytes: [UInt8], prefix: Int) {
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        guard bytes.count == 16, prefix >= 96, Array(bytes[..<12]) == mapped else { return (bytes, prefix) }
        return (Array(bytes[12...]), prefix - 96)
    }
}
