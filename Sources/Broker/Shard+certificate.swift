// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Clients whose certificate says who they are. `listener.*.peer_cert_as_username`
extension Shard {
    /// Once for a connection, at its CONNECT: what a layer below has proven by then does not change any more.
    func learnCertifiedName(_ c: ConnectionRef) {
        guard certifiedNames[c.pointee.slot] == nil else { return }
        let wanted = listeners.with(c.pointee.listener) { $0.terms.certificateName }
        guard wanted != .unused else { return }
        let certificate = c.pointee.transport.pointee.stack?.certificate
        var name = certificate.map { wanted.name(in: $0) } ?? ""
        certifiedNames[c.pointee.slot] = name.withUTF8 { ownBytes(Bytes($0)) }
    }

    func dropCertifiedName(_ c: ConnectionRef) {
        guard !certifiedNames.isEmpty, let name = certifiedNames.removeValue(forKey: c.pointee.slot) else { return }
        freeBytes(name)
    }

    /// The user name a client comes with; nil: none. Where certificates name clients the CONNECT does not: whoever has
    /// no certificate could take another's name otherwise.
    func givenUsername(_ c: ConnectionRef, _ connect: ConnectPacket, _ base: UnsafeRawPointer) -> Bytes? {
        if let name = certifiedName(c) { return name.count > 0 ? name : nil }
        return connect.hasUsername ? connect.username.bytes(in: base) : nil
    }

    /// Its certificate names it: it is nobody anonymous, although no module may know it.
    func isCertified(_ c: ConnectionRef) -> Bool { (certifiedName(c)?.count ?? 0) > 0 }

    private func certifiedName(_ c: ConnectionRef) -> Bytes? {
        certifiedNames.isEmpty ? nil : certifiedNames[c.pointee.slot]
    }
}

extension CertificateName {
    /// Empty when the certificate has no such name.
    func name(in certificate: PeerCertificate) -> String {
        if !certificate.sharedKey.isEmpty { return certificate.sharedKey }
        return switch self {
        case .unused: ""
        case .common: certificate.commonName
        case .distinguished: certificate.distinguishedName
        case .subject: certificate.subject
        }
    }
}
