// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import BenchCore

@Suite struct CallgrindProfileTests {
    private static let text = """
        # callgrind format
        version: 1
        fn=(1) main
        10 100
        cfn=(2) malloc
        calls=3 0x10
        11 30
        cfn=(3) strlen
        calls=9 0x10
        12 9
        fn=(2)
        5 30
        cfn=(4) free@@GLIBC_2.2.5
        calls=2 0
        6 7
        fn=(5) other
        cfn=(2)
        calls=4 0x10
        13 40
        cfn=(6) malloc'2
        calls=1 0x10
        13 1
        totals: 12345
        """

    @Test func callsAreCountedOverAllCallersAndThroughShortNames() {
        let profile = CallgrindProfile(Self.text, counting: ["malloc", "free"])
        #expect(profile.instructions == 12_345)
        #expect(profile.calls == ["malloc": 8, "free": 2])
    }

    @Test func aNumberAboveItsThresholdIsAComplaintAndOneBelowIsNot() {
        var counts = Counts(run: "pairs", broker: "b", messages: 10, perMessage: ["instructions": 101, "malloc": 0])
        let thresholds = Thresholds(brokers: ["b": ["pairs": ["instructions": 100, "malloc": 0.1]]])
        counts.check(thresholds)
        #expect(counts.complaints == ["pairs: 101 instructions per message, and 100 is the threshold"])
        counts.perMessage["instructions"] = 99
        counts.complaints = []
        counts.check(thresholds)
        #expect(counts.complaints.isEmpty)
    }

    @Test(arguments: [(1, 1, true), (3, 3, true), (4, 3, false)])
    func aRunAboveItsThresholdIsRepeatedTwice(good: Int, tries: Int, passes: Bool) {
        let thresholds = Thresholds(brokers: ["b": ["pairs": ["malloc": 0.1]]])
        var made = 0
        let counts = Counts.judged(by: thresholds) {
            made += 1
            return Counts(run: "pairs", broker: "b", messages: 10, perMessage: ["malloc": made == good ? 0 : 1])
        }
        #expect(made == tries)
        #expect(counts.complaints.isEmpty == passes)
    }

    @Test func aRunOrACountWithoutNumbersDoesNotPass() {
        var counts = Counts(run: "fanin", broker: "b", messages: 10, perMessage: [:])
        counts.check(Thresholds(brokers: ["b": ["fanin": ["malloc": 1]]]))
        counts.check(Thresholds(brokers: [:]))
        #expect(counts.complaints.count == 2)
    }
}

@Suite struct ComparisonTests {
    @Test func aRatioSaysHowManyTimesBetterTheFirstIsWithItsSpread() {
        let cost = BenchResult.Figure("broker CPU per message", 1, "µs")
        let row = Comparison.Row(run: "pairs", figure: cost, first: [1, 2, 1], second: [10, 12, 14])
        #expect((row.ratio, row.lowestRatio, row.highestRatio) == (12, 6, 14))
        let speed = BenchResult.Figure("messages per second", 1, "1/s", lowerIsBetter: false)
        #expect(Comparison.Row(run: "pairs", figure: speed, first: [300], second: [100]).ratio == 3)
        #expect(Comparison.Row(run: "pairs", figure: cost, first: [0], second: [1]).ratio == 0)
    }

    @Test func numbersAreShownWithFourDigitsAndThousandsApart() {
        #expect(Report.number(0.0123456) == "0.01235")
        #expect(Report.number(1_234_567) == "1,235,000")
        #expect(Report.number(12.5) == "12.5")
        #expect(Report.number(-1500) == "-1,500")
        #expect(Report.number(0) == "0")
    }
}

@Suite struct ProcessMeterTests {
    @Test func aRollupAndAStatusAreReadInBytes() {
        #expect(ProcessMeter.kilobytes("Rss:", in: "x\nRss:        1800 kB\nPss: 1 kB\n") == 1_843_200)
        #expect(ProcessMeter.kilobytes("Anonymous:", in: "Rss: 1 kB\n") == nil)
    }

    @Test func theSchedulersClockIsUsedUnlessThreadsHaveEnded() {
        let before = ProcessMeter.CPU(user: 1, system: 1, scheduled: 2.003)
        let quick = ProcessMeter.CPU(user: 1, system: 1, scheduled: 2.007) - before
        #expect(quick.total > 0.0039 && quick.total < 0.0041)
        let longer = ProcessMeter.CPU(user: 4, system: 2, scheduled: 6.013) - before
        #expect(longer.total > 4.009 && longer.total < 4.011 && longer.user > 2.99 && longer.user < 3.02)
        let ended = ProcessMeter.CPU(user: 4, system: 2, scheduled: 3) - before
        #expect(ended.total == 4)
    }

    @Test func thisProcessHasTimeAndMemory() throws {
        let memory = try #require(ProcessMeter.own().memory())
        #expect(memory.resident >= memory.anonymous && memory.anonymous > 0)
        #expect(ProcessMeter.own().cpu() != nil)
        #expect(ProcessMeter(pid: -1).cpu() == nil)
    }

    @Test func eachThreadIsCountedOnce() throws {
        let threads = ProcessMeter.own().threads
        #expect(threads.filter { $0 == getpid() }.count == 1)
        #expect(Set(threads).count == threads.count)
    }

    /// A process of one thread: where the two clocks differ, one of them is misread.
    @Test func theSchedulersClockAndTheCoarseOneAgree() throws {
        let work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $$; exec sleep 600"
        let pipe = try #require(popen(work, "r"))
        var line = [CChar](repeating: 0, count: 32)
        _ = fgets(&line, Int32(line.count), pipe)
        let digits = String(decoding: line.prefix { $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let child = try #require(Int32(digits))
        let cpu = ProcessMeter(pid: child).cpu()
        kill(child, SIGKILL)
        pclose(pipe)
        let read = try #require(cpu)
        #expect(read.total > 0.1 && abs(read.scheduled - read.total) < 0.1 * read.total + 0.03)
    }
}
