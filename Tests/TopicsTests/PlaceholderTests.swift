// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@Suite("Placeholders %c and %u")
struct PlaceholderTests {
    private func expand(
        _ template: String, _ clientID: String?, _ username: String?, wholeLevels: Bool = false
    ) -> (text: String, isClean: Bool) {
        var out = Array("<".utf8)
        let client = clientID.map { Array($0.utf8) }
        let user = username.map { Array($0.utf8) }
        let isClean = withBytes(template) { template in
            withOptionalBytes(client) { client in
                withOptionalBytes(user) { user in
                    expandPlaceholders(
                        template, clientID: client, username: user, wholeLevels: wholeLevels, into: &out)
                }
            }
        }
        return (string(out.dropFirst()), isClean)
    }

    private func withOptionalBytes<Result>(_ bytes: [UInt8]?, _ body: (Bytes?) -> Result) -> Result {
        guard let bytes else { return body(nil) }
        return bytes.withUnsafeBytes { body($0) }
    }

    @Test("They are replaced anywhere in a level")
    func anywhere() {
        #expect(expand("dev-%c/%u/x", "c1", "joe") == ("dev-c1/joe/x", true))
        #expect(expand("%c%u%c", "1", "2") == ("121", true))
        #expect(expand("%", "1", "2") == ("%", true))
        #expect(expand("", "1", "2") == ("", true))
        #expect(expand("100%/%d/%%c", "1", "2") == ("100%/%d/%1", true))
    }

    @Test("acl.conf: only a whole level is replaced")
    func wholeLevels() {
        #expect(expand("sensor/%c/#", "c1", nil, wholeLevels: true) == ("sensor/c1/#", true))
        #expect(expand("%c/%u", "c1", "joe", wholeLevels: true) == ("c1/joe", true))
        #expect(expand("a%c/%cb/%u%u", "c1", "joe", wholeLevels: true) == ("a%c/%cb/%u%u", true))
    }

    @Test("What is undefined stays literal", arguments: [true, false])
    func undefined(wholeLevels: Bool) {
        #expect(expand("%c/%u", nil, nil, wholeLevels: wholeLevels) == ("%c/%u", true))
        #expect(expand("%c/%u", nil, "joe", wholeLevels: wholeLevels) == ("%c/joe", true))
    }

    @Test(
        "A value that would change the levels or add a wildcard is reported",
        arguments: ["+", "#", "a/b", "", "a+", "\0"])
    func injected(clientID: String) {
        #expect(expand("sensor/%c", clientID, nil) == ("sensor/" + clientID, false))
        #expect(expand("sensor/%u", clientID, "joe") == ("sensor/joe", true))
    }

    @Test("A replaced value is not expanded again")
    func once() {
        #expect(expand("%c", "%u", "joe") == ("%u", true))
    }
}
