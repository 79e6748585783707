// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@Suite("Subscriptions with prefixes")
struct SubscriptionTests {
    /// `kind group filter`, `local` first if it is: what the parser made of it.
    private func parse(_ text: String) -> String? {
        withBytes(text) { bytes in
            parseSubscription(bytes).map { parsed in
                let local = parsed.isLocal ? "local " : ""
                return "\(local)\(parsed.kind) \(string(bytes[parsed.group])) \(string(bytes[parsed.filter]))"
            }
        }
    }

    @Test(
        "Prefixes are taken off; what follows $share/GROUP/ is literal",
        arguments: [
            ("a/+/#", "plain  a/+/#"), ("/", "plain  /"), ("$SYS/#", "plain  $SYS/#"),
            ("$share/g/a/+", "shared g a/+"), ("$share/g//a", "shared g /a"), ("$share/g//", "shared g /"),
            ("$share/g/$share/h/t", "shared g $share/h/t"), ("$share/g/$queue/t", "shared g $queue/t"),
            ("$share/g/$local/t", "shared g $local/t"), ("$share/$queue/t", "shared $queue t"),
            ("$queue/a/#", "queue $queue a/#"), ("$queue//", "queue $queue /"),
            ("$queue/$SYS/x", "queue $queue $SYS/x"),
            ("$local/a", "local plain  a"), ("$local/$share/g/t", "local shared g t"),
            ("$local/$queue/t", "local queue $queue t"), ("$queue/$local/t", "local queue $queue t"),
            ("$share", "plain  $share"), ("$queue", "plain  $queue"), ("$local", "plain  $local"),
            ("$shared/g/t", "plain  $shared/g/t"), ("$SHARE/g/t", "plain  $SHARE/g/t"),
        ])
    func valid(text: String, expected: String) {
        #expect(parse(text) == expected)
    }

    @Test("[MQTT-4.8.2-1] a share name has at least one character", arguments: ["$share/", "$share//t", "$share//"])
    func emptyGroup(text: String) {
        #expect(parse(text) == nil)
    }

    @Test(
        "[MQTT-4.8.2-2] a share name has no wildcard and a filter follows it",
        arguments: [
            "$share/+/t", "$share/#/t", "$share/g+/t", "$share/g#/t", "$share/g", "$share/g/", "$local/$share/g",
        ])
    func brokenShare(text: String) {
        #expect(parse(text) == nil)
    }

    @Test(
        "Prefixes may not repeat or contradict",
        arguments: [
            "$local/$local/t", "$queue/$queue/t", "$queue/$share/g/t", "$queue/$local/$queue/t",
            "$local/$queue/$local/t", "$queue/$local/$share/g/t",
        ])
    func nested(text: String) {
        #expect(parse(text) == nil)
    }

    @Test(
        "The filter behind the prefix must be valid",
        arguments: ["", "$queue/", "$local/", "$queue/#/a", "$share/g/a+", "$local/a#", "$share/g\0/t", "$share/g/\0"])
    func brokenFilter(text: String) {
        #expect(parse(text) == nil)
    }

    @Test("[MQTT-4.7.3-3] the 65,535 bytes include the prefix")
    func tooLong() {
        #expect(parse("$local/" + String(repeating: "a", count: 65_528)) != nil)
        #expect(parse("$local/" + String(repeating: "a", count: 65_529)) == nil)
    }
}
