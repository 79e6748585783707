// SPDX-License-Identifier: Apache-2.0
import Reactor

/// Changes no byte: it only knows the name that a proxy in front has found in the client's certificate.
final class ProxiedCertificate: StreamLayer, @unchecked Sendable {
    private let commonName: String

    init(_ commonName: String) { self.commonName = commonName }

    override var certificate: PeerCertificate? { PeerCertificate(commonName: commonName) }

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        up(bytes)
        return .open
    }

    override func send(_ bytes: UnsafeRawBufferPointer) { down(bytes) }
}
