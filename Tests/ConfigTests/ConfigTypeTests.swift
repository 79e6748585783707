// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite struct ConfigTypeTests {
    @Test(arguments: [
        ("0", 0), ("20", 20_000), ("100ms", 100), ("20s", 20_000), ("1m", 60_000), ("2h", 7_200_000),
        ("7d", 604_800_000), ("2w", 1_209_600_000), ("1h30m", 5_400_000), ("1m 5s", 65_000), ("2H", 7_200_000),
    ])
    func durations(_ text: String, _ expected: Int) {
        #expect(ConfigType.anyDuration.parse(text) == .int(expected))
    }

    @Test(arguments: [
        "", "s", "-1", "+1", "1x", "1h30", "ms1", "1.5h", "99999999999999999999s", "9223372036854775807w",
    ])
    func notDurations(_ text: String) {
        #expect(ConfigType.anyDuration.parse(text) == nil)
    }

    @Test(arguments: ["9223372036854775807ms", "9223372036854775s", "36526d", "15250284452w"])
    func moreThanAHundredYearsAreAHundred(_ text: String) {
        #expect(ConfigType.duration(1000...Int.max).parse(text) == .int(longestDuration))
        #expect(ConfigType.milliseconds(0...Int.max).parse(text) == .int(longestDuration))
        #expect(ConfigType.duration(0...1000).parse(text) == nil)
        #expect(!longestDuration.multipliedReportingOverflow(by: 2_000_000).overflow)
    }

    @Test func aBareNumberOfMillisecondsStaysOne() {
        #expect(ConfigType.milliseconds(0...10_000).parse("240") == .int(240))
        #expect(ConfigType.milliseconds(0...10_000).parse("2s") == .int(2000))
        #expect(ConfigType.milliseconds(0...10_000).parse("11s") == nil)
    }

    @Test(arguments: [("0", 0), ("512", 512), ("64KB", 65_536), ("1MB", 1 << 20), ("2gb", 2 << 30), ("1 MB", 1 << 20)])
    func sizes(_ text: String, _ expected: Int) {
        #expect(ConfigType.anyBytes.parse(text) == .int(expected))
    }

    @Test(arguments: ["", "KB", "-1", "1TB", "1.5MB", "9223372036854775807KB"])
    func notSizes(_ text: String) {
        #expect(ConfigType.anyBytes.parse(text) == nil)
    }

    @Test(arguments: ["on", "true", "yes", "ON", "True"]) func trueWords(_ text: String) {
        #expect(ConfigType.bool.parse(text) == .bool(true))
    }

    @Test(arguments: ["off", "false", "no"]) func falseWords(_ text: String) {
        #expect(ConfigType.bool.parse(text) == .bool(false))
    }

    @Test(arguments: ["", "1", "0", "enabled"]) func notBools(_ text: String) {
        #expect(ConfigType.bool.parse(text) == nil)
    }

    @Test func percentages() {
        #expect(ConfigType.percent.parse("60%") == .int(60))
        #expect(ConfigType.percent.parse("60") == .int(60))
        #expect(ConfigType.percent.parse("101%") == nil)
        #expect(ConfigType.percent.parse("%") == nil)
    }

    @Test func lists() {
        #expect(ConfigType.list.parse("a, b ,c") == .list(["a", "b", "c"]))
        #expect(ConfigType.list.parse("") == .list([]))
        #expect(ConfigType.list.parse("a,,b") == nil)
    }

    @Test(arguments: [
        ("1883", ConfigAddress(host: nil, port: 1883)), ("*:1883", ConfigAddress(host: nil, port: 1883)),
        ("0.0.0.0:1883", ConfigAddress(host: "0.0.0.0", port: 1883)),
        ("[::]:1883", ConfigAddress(host: "::", port: 1883)), ("[::1]:1", ConfigAddress(host: "::1", port: 1)),
        ("localhost:1", ConfigAddress(host: "127.0.0.1", port: 1)),
    ])
    func addresses(_ text: String, _ expected: ConfigAddress) {
        #expect(ConfigType.address.parse(text) == .address(expected))
    }

    @Test(arguments: [
        "", "0", "127.0.0.1:0", "[::1]:0", "65536", "-1", "1.2.3.4", "1.2.3:1", "::1:1883", "[1.2.3.4]:1",
        "host.example:1", ":1883",
    ])
    func notAddresses(_ text: String) {
        #expect(ConfigType.address.parse(text) == nil)
    }

    @Test func accessRules() {
        let network = ConfigAccessRule.Network(bytes: [10, 0, 0, 0], prefix: 8)
        #expect(parseAccessRule("allow all") == ConfigAccessRule(isAllowed: true, network: nil))
        #expect(parseAccessRule("deny  10.0.0.0/8") == ConfigAccessRule(isAllowed: false, network: network))
        #expect(parseAccessRule("allow ::1")?.network?.prefix == 128)
        for text in ["allow", "permit all", "deny 10.0.0.0/33", "deny 10.0.0/8", "deny 10.0.0.0/", "allow all all"] {
            #expect(parseAccessRule(text) == nil, "\(text)")
        }
    }

    @Test func rates() {
        #expect(ConfigType.byteRate.parse("1KB,4KB") == .rate(ConfigRate(amount: 1024, perMS: 1000, burst: 4096)))
        #expect(ConfigType.byteRate.parse("100,10") == nil)
        #expect(ConfigType.countRate.parse("10,1m") == .rate(ConfigRate(amount: 10, perMS: 60_000, burst: 10)))
        #expect(ConfigType.countRate.parse("5") == .rate(ConfigRate(amount: 5, perMS: 1000, burst: 5)))
        #expect(ConfigType.countRate.parse("10,0") == nil)
        #expect(ConfigType.byteRate.parse("0") == .rate(.unlimited))
        #expect(ConfigType.countRate.parse("0") == .rate(.unlimited))
    }

    @Test func rangesOfPlugins() {
        #expect(ConfigType.ranged(ConfigType.int, "0..65535", default: Int.min...Int.max) == .int(0...65_535))
        #expect(ConfigType.ranged(ConfigType.int, "1..", default: Int.min...Int.max) == .int(1...Int.max))
        #expect(ConfigType.ranged(ConfigType.int, "-5..5", default: Int.min...Int.max) == .int(-5...5))
        #expect(ConfigType.ranged(ConfigType.bytes, "1KB..1MB", default: 0...Int.max) == .bytes(1024...1 << 20))
        #expect(ConfigType.ranged(ConfigType.duration, "..1h", default: 0...Int.max) == .duration(0...3_600_000))
        #expect(ConfigType.ranged(ConfigType.int, nil, default: 0...7) == .int(0...7))
        for text in ["5", "5..1", "a..b"] {
            #expect(ConfigType.ranged(ConfigType.int, text, default: 0...9) == nil, "\(text)")
        }
    }

    @Test func unitsAreShownAsLargeAsTheyDivide() {
        #expect(formatBytes(65_536) == "64KB")
        #expect(formatBytes(1000) == "1000")
        #expect(formatDuration(7_200_000) == "2h")
        #expect(formatDuration(1500) == "1500ms")
        #expect(formatDuration(0) == "0")
    }
}
