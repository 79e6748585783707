// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Clients whose certificate says who they are. `listener.*.peer_cert_as_username`
extension Shard {
    /// Once for a connection, at its CONNECT: what a layer below has proven by then does not change any more.
    func learnCertifiedName(_ c: ConnectionRef) {
        guard c.pointee.certifiedName == nil else { return }
        let wanted = broker.listenerState(c.pointee.listener).terms.certificateName
        guard wanted != .unused else { return }
        let certificate = c.pointee.transport.pointee.stack?.certificate
        var name = certificate.map { wanted.name(in: $0) } ?? ""
        c.pointee.certifiedName = .allocate(capacity: 1)
        c.pointee.certifiedName!.initialize(to: name.withUTF8 { ownBytes(Bytes($0)) })
    }

    func dropCertifiedName(_ c: ConnectionRef) {
        guard let name = c.pointee.certifiedName else { return }
        freeBytes(name.pointee)
        name.deallocate()
        c.pointee.certifiedName = nil
    }

    /// The user name a client comes with; nil: none. Where certificates name clients the CONNECT does not: whoever has
    /// no certificate could take another's name otherwise.
    func givenUsername(_ c: ConnectionRef, _ connect: ConnectPacket, _ base: UnsafeRawPointer) -> Bytes? {
        if let name = c.pointee.certifiedName { return name.pointee.count > 0 ? name.pointee : nil }
        return connect.hasUsername ? connect.username.bytes(in: base) : nil
    }

    /// Its certificate names it: it is nobody anonymous, although no module may know it.
    func isCertified(_ c: ConnectionRef) -> Bool { c.pointee.certifiedName.map { $0.pointee.count > 0 } ?? false }
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
