// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite struct ConfigTextTests {
    private func entries(_ text: String) -> [[String]] {
        ConfigText(Array(text.utf8), file: "f").entries.map { [$0.key, $0.value, "\($0.line)"] }
    }

    private func complaints(_ text: String) -> [String] {
        ConfigText(Array(text.utf8), file: "f").diagnostics.map(\.description)
    }

    @Test func blanksCommentsAndLineEndsAreTolerated() {
        let text = "\u{FEFF}## top\r\n\r\n  a.b =  1 \r\n\t# note\n c=x y # no comment\n\nd ="
        #expect(entries(text) == [["a.b", "1", "3"], ["c", "x y # no comment", "5"], ["d", "", "7"]])
        #expect(complaints(text) == [])
    }

    @Test func aQuotedValueKeepsItsBlanksAndMayBeFollowedByAComment() {
        #expect(entries(#"a = " x # y "  # note"#) == [["a", " x # y ", "1"]])
        #expect(entries(#"a = "q \" b \\ r \d""#) == [["a", #"q " b \ r \d"#, "1"]])
        #expect(entries(#"a = """#) == [["a", "", "1"]])
    }

    @Test func aValueMayContainEqualsSigns() {
        #expect(entries("a = topic/1=10,topic/2=8") == [["a", "topic/1=10,topic/2=8", "1"]])
    }

    @Test(arguments: [
        ("\nnonsense", "f:2: expected key = value, found \"nonsense\""),
        ("a. = 1", "f:1: \"a.\" is not a key, expected names joined by dots"),
        ("a b = 1", "f:1: \"a b\" is not a key, expected names joined by dots"),
        ("= 1", "f:1: \"\" is not a key, expected names joined by dots"),
        ("a = \"x", "f:1: a: the quoted value does not end with \" alone on its line"),
        ("a = \"x\" y", "f:1: a: the quoted value does not end with \" alone on its line"),
        ("a = x\u{0}y", "f:1: the line is not valid UTF-8 text"),
    ])
    func aBrokenLineIsNamed(_ text: String, _ expected: String) {
        #expect(complaints(text) == [expected])
    }

    @Test func aLineThatIsNotUTF8IsNamedAndTheOthersAreRead() {
        let text = ConfigText(Array("a = ".utf8) + [0xFF, 0x0A] + Array("b = 1".utf8), file: "f")
        #expect(text.diagnostics.map(\.description) == ["f:1: the line is not valid UTF-8 text"])
        #expect(text.entries.map(\.key) == ["b"])
    }
}
