// SPDX-License-Identifier: Apache-2.0
import CTLS
import Reactor

/// The certificate that the peer of a stream has proven to have, parsed for as long as somebody asks about it.
struct CertificateReader: ~Copyable {
    private let raw: OpaquePointer

    /// Nil: there is none, or the handshake is not over.
    init?(_ stream: OpaquePointer) {
        guard let raw = ctls_stream_certificate(stream) else { return nil }
        self.raw = raw
    }

    deinit { ctls_certificate_free(raw) }

    /// Nil where there is no such name.
    var names: PeerCertificate? {
        guard let dn = name(CTLS_NAME_DN) else { return nil }
        return PeerCertificate(
            commonName: name(CTLS_NAME_COMMON) ?? "", distinguishedName: dn, subject: name(CTLS_NAME_SUBJECT) ?? "")
    }

    /// A name; nil: it has none, or one of more than 2 KiB.
    private func name(_ which: Int) -> String? {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2048) { buffer in
            let count = ctls_certificate_get(raw, Int32(which), buffer.baseAddress, buffer.count)
            // A longer one, cut, might be somebody else's.
            guard count > 0, count <= buffer.count else { return nil }
            return String(validating: UnsafeBufferPointer(rebasing: buffer.prefix(count)), as: UTF8.self)
        }
    }

    /// Nil where it is empty.
    func bytes(_ which: Int) -> [UInt8]? {
        let count = ctls_certificate_get(raw, Int32(which), nil, 0)
        guard count > 0 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            written = min(count, ctls_certificate_get(raw, Int32(which), buffer.baseAddress, count))
        }
    }
}

/// What the peer of a stream has proven.
func proof(_ what: PeerProof, of stream: OpaquePointer) -> [UInt8]? {
    if what == .sharedKey {
        guard ctls_stream_is_ready(stream), let identity = ctls_stream_identity(stream) else { return nil }
        return Array(String(cString: identity).utf8)
    }
    let which =
        switch what {
        case .commonName: CTLS_NAME_COMMON
        case .distinguishedName: CTLS_NAME_DN
        case .subject: CTLS_NAME_SUBJECT
        case .fingerprint: CTLS_SHA256
        case .pem: CTLS_PEM
        case .der, .sharedKey: CTLS_DER
        }
    return CertificateReader(stream)?.bytes(which)
}
