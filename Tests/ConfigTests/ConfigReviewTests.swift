// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite("A configuration that is read again")
struct ConfigReviewTests {
    private let inForce = check("mqtt.low = 30%\nnode.name = a@b").values!

    private func review(_ text: String) -> [String] {
        ConfigReview(check(text), inForce: inForce).lines.map { "\($0.level) \($0.text)" }
    }

    @Test("The same values, written elsewhere or in another spelling, are no change")
    func same() {
        #expect(
            review("node.name = a@b\n\nmqtt.retain_available = true\nmqtt.low = 30%")
                == ["notice m.conf is valid and sets what is in force."])
    }

    @Test("Keys that are new, other or gone wait for the next start; their values are not told")
    func changed() {
        #expect(
            review("mqtt.low = 31%\nauth.password = hush")
                == ["notice m.conf is valid; mqtt.low, auth.password, node.name changed and wait for the next start."])
        #expect(
            review("mqtt.low = 30%\nnode.name = b@b")
                == ["notice m.conf is valid; node.name changed and waits for the next start."])
    }

    @Test("Each problem is told in a sentence with line, key and the nearest one, warnings too")
    func problems() {
        #expect(
            review("mqtt.low = 31%\nmqtt.lov = 1\nnode.cookie = x\nnode.loops = many") == [
                "error m.conf:2: mqtt.lov: unknown key; did you mean mqtt.low?",
                "warning m.conf:3: node.cookie: no effect here: there is no cookie",
                "error m.conf:4: node.loops: \"many\" is not valid, expected auto or a whole number from 0 to 256",
                "error m.conf is not valid: what it read at its start stays in force, and the broker would not start "
                    + "with this file.",
            ])
        #expect(review("mqtt.low = 30%\nnode.name = a@b\nnode.cookie = x").count == 2)
    }

    @Test("A file that is gone is a problem like others")
    func gone() {
        let load = ConfigFile.load(path: "/nowhere/m.conf", schema: sampleSchema)
        let lines = ConfigReview(load, inForce: inForce).lines
        #expect(lines.count == 2 && lines[0].text.hasPrefix("/nowhere/m.conf: cannot be read"))
    }

    @Test("A thousand problems are fifty sentences and a number")
    func bounded() {
        let lines = review((0..<1000).map { "x.\($0) = 1\n" }.joined())
        #expect(lines.count == 52 && lines[50] == "error m.conf: 950 more problems.")
        let schema = Schema((0..<60).map { ConfigKey("k\($0)", .bool, help: "") })
        let text = (0..<60).map { "k\($0) = on\n" }.joined()
        let review = ConfigReview(check(text, schema: schema), inForce: .defaults(schema))
        #expect(review.lines.count == 1 && review.lines[0].text.contains("k49 and 10 more changed"))
    }
}
