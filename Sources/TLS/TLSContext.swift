// SPDX-License-Identifier: Apache-2.0
import CTLS

/// One generation of what a door or a client is configured with: certificates, keys, authorities, tickets. Read once
/// from its files and not changed afterwards; all loops share it. A reload makes another one, and connections keep
/// the one they began with.
public final class TLSContext: @unchecked Sendable {
    public let options: TLSOptions
    let raw: OpaquePointer
    /// Kept for their dates; OpenSSL's side holds its own references.
    private var named: [TLSContext] = []

    /// The key of an identity, nil when nobody knows it. On the loop of the connection: it must not wait.
    public typealias KeyLookup = @Sendable (_ identity: UnsafeRawBufferPointer) -> [UInt8]?

    /// Reads the files.
    /// - Parameter scope: sessions are resumed at the door of this name only.
    public init(_ options: TLSOptions, scope: String = "", keys: KeyLookup? = nil) throws(TLSError) {
        let isServer = options.role == .server
        guard let raw = options.isDatagram ? ctls_context_new_datagram(isServer) : ctls_context_new(isServer) else {
            throw TLSError(description: "OpenSSL has no memory for a TLS context.")
        }
        self.options = options
        self.raw = raw
        try setTerms()
        try setIdentity()
        try setPeers()
        ctls_set_resumption(raw, options.resumes, scope)
        try setSharedKeys(keys)
        for name in options.named { try add(name, scope) }
    }

    deinit { ctls_context_free(raw) }

    /// When the first of its certificates ends, seconds since 1970; nil without one.
    public var notAfter: Int64? {
        let own = ctls_not_after(raw)
        return ([own == 0 ? nil : own] + named.map(\.notAfter)).compactMap { $0 }.min()
    }

    /// The subject of its certificate, RFC 2253; nil without one.
    public var subject: String? {
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
            let count = ctls_subject(raw, buffer.baseAddress, buffer.count)
            let bytes = UnsafeRawBufferPointer(buffer).prefix(min(count, buffer.count - 1))
            return String(decoding: bytes, as: UTF8.self)
        }
        return text.isEmpty ? nil : text
    }

    // MARK: - From options

    private func setTerms() throws(TLSError) {
        try check { ctls_set_versions(raw, options.versions.rawValue, $0) }
        var suites = options.ciphers.filter { ctls_is_suite13($0) }
        let ciphers = options.ciphers.filter { !ctls_is_suite13($0) }
        if options.sharedKeys != .off, suites.isEmpty {
            // A shared key belongs to SHA-256 (RFC 8446 §4.2.11): a suite of another hash would make it worthless.
            suites = ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"]
        }
        try check {
            ctls_set_ciphers(raw, ciphers.joined(separator: ":"), suites.joined(separator: ":"), $0)
        }
        ctls_set_server_order(raw, options.honorsOwnOrder || options.sharedKeys != .off)
        if let file = options.dhParameters { try check { ctls_set_dh(raw, file, $0) } }
        var wire: [UInt8] = []
        for name in options.protocols where (1...255).contains(name.utf8.count) {
            wire.append(UInt8(name.utf8.count))
            wire += Array(name.utf8)
        }
        if !wire.isEmpty { _ = ctls_set_protocols(raw, wire, wire.count, options.requiresProtocol) }
    }

    private func setIdentity() throws(TLSError) {
        if let own = options.certificate { try check { ctls_set_certificate(raw, own.chain, own.key, $0) } }
    }

    private func setPeers() throws(TLSError) {
        if let file = options.authorities {
            try check { ctls_set_authorities(raw, file, $0) }
        } else if options.role == .client {
            try check { ctls_set_system_authorities(raw, $0) }
        }
        if let file = options.revoked { try check { ctls_set_revoked(raw, file, $0) } }
        ctls_set_verify(raw, options.verify != .none, options.verify == .required)
    }

    private func setSharedKeys(_ keys: KeyLookup?) throws(TLSError) {
        if let own = options.ownKey, !ctls_set_psk(raw, own.identity, own.key, own.key.count) {
            throw TLSError(description: "A shared key has 1 to 64 bytes, and its identity at most 255.")
        }
        guard options.sharedKeys != .off, let keys else { return }
        let box = Unmanaged.passRetained(KeyBox(keys))
        try check {
            ctls_set_psk_lookup(
                raw, KeyBox.lookup, box.toOpaque(), { Unmanaged<KeyBox>.fromOpaque($0!).release() },
                options.sharedKeyHint, $0)
        }
    }

    private func add(_ name: TLSOptions.Named, _ scope: String) throws(TLSError) {
        var options = options
        options.certificate = name.certificate
        options.named = []
        options.sharedKeys = .off
        let other = try TLSContext(options, scope: scope)
        named.append(other)
        guard ctls_add_name(raw, name.host, other.raw) else {
            throw TLSError(description: "OpenSSL has no memory for a TLS context.")
        }
    }

    private func check(_ body: (UnsafeMutablePointer<ctls_why>) -> Bool) throws(TLSError) {
        let why = UnsafeMutablePointer<ctls_why>.allocate(capacity: 1)
        defer { why.deallocate() }
        guard !body(why) else { return }
        throw TLSError(description: String(cString: UnsafeRawPointer(why).assumingMemoryBound(to: CChar.self)) + ".")
    }
}

/// Carries a Swift closure through C.
private final class KeyBox {
    let keys: TLSContext.KeyLookup
    init(_ keys: @escaping TLSContext.KeyLookup) { self.keys = keys }

    static let lookup: ctls_psk_lookup = { user, identity, count, out, room in
        let box = Unmanaged<KeyBox>.fromOpaque(user!).takeUnretainedValue()
        guard let key = box.keys(UnsafeRawBufferPointer(start: identity, count: count)), key.count <= room else {
            return 0
        }
        UnsafeMutableRawPointer(out!).copyMemory(from: key, byteCount: key.count)
        return key.count
    }
}
