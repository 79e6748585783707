// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import TLS

@Suite("Contexts from files")
struct ContextTests {
    private let certificates = Certificates.shared

    private func complaint(_ change: (inout TLSOptions) -> Void) -> String {
        do {
            _ = try TLSContext(.server(change))
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("The date the certificate ends and its subject are known")
    func dates() throws {
        let context = try TLSContext(.server())
        let days = (Double(try #require(context.notAfter)) - Date().timeIntervalSince1970) / 86_400
        #expect((824...826).contains(days))
        #expect(context.subject?.hasSuffix(",O=Martlet") == true)
        #expect(try TLSContext(.client()).notAfter == nil)
    }

    @Test("What is wrong with a file is said in a sentence that names it")
    func complaints() throws {
        let missing = certificates.path("none.pem")
        #expect(
            complaint { $0.certificate?.chain = missing } == "\(missing): No such file or directory.")
        let key = certificates.path("client-key.pem")
        #expect(
            complaint { $0.certificate?.key = key }
                == "\(key): it is not the key of the certificate in \(certificates.path("cert.pem")).")
        let chain = certificates.path("key.pem")
        #expect(
            complaint { $0.certificate?.chain = chain } == "\(chain): it has no PEM block of the kind that is needed.")
        #expect(complaint { $0.authorities = missing }.hasPrefix("\(missing): "))
        #expect(complaint { $0.revoked = missing } == "\(missing): No such file or directory.")
        #expect(complaint { $0.dhParameters = chain }.hasPrefix("\(chain): "))
        #expect(complaint { $0.ciphers = ["NONSENSE"] } == "NONSENSE: no cipher match.")
        #expect(complaint { $0.ciphers = ["TLS_NONSENSE"] } == "TLS_NONSENSE: no cipher match.")
    }

    @Test("A key with a passphrase is refused without asking anybody")
    func passphrase() throws {
        let locked = certificates.path("locked.pem")
        Certificates.run(
            "openssl", "pkcs8", "-topk8", "-in", certificates.path("key.pem"), "-out", locked, "-passout", "pass:x")
        #expect(
            complaint { $0.certificate?.key = locked }
                == "\(locked): it is protected by a passphrase, which nobody could type.")
    }
}
