// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Foundation
import Testing

/// A store on disc in a directory of its own.
final class DiscBench {
    let directory: String
    private let top = NSTemporaryDirectory() + "retainer-test-\(UUID().uuidString)"
    private(set) var store: Store

    init(_ storage: StorageType) throws {
        directory = top + "/data/retainer"
        store = try Self.open(storage, directory)
    }

    static func open(_ storage: StorageType, _ directory: String, now: Int64 = 0) throws -> Store {
        let store = Store.make(storage, messages: FakeHost.calls)
        let disc = try Disc.open(directory)
        try store.attach(disc, now: now)
        return store
    }

    func reopen(_ storage: StorageType, now: Int64 = 0, flushing: Bool = true) throws {
        if flushing { try store.flush() }
        close()
        store = try Self.open(storage, directory, now: now)
    }

    func close() {
        store.disc?.close()
        store.destroy()
    }

    func remove() {
        close()
        removeFiles()
    }

    func removeFiles() {
        try? FileManager.default.removeItem(atPath: top)
    }

    /// What storage disc_only would feed: keys from memory, bodies from disc where memory has none.
    func fetched(_ filter: String, now: Int64 = 0) throws -> [String: String] {
        var cursor = filter.asKey { Cursor(filter: $0) }!
        var slice = Slice(keepsKeys: true)
        defer {
            cursor.free()
            slice.free(store.messages)
        }
        var found: [String: String] = [:]
        while !cursor.isFinished {
            store.fill(&slice, from: &cursor, limit: 64, now: now)
            try store.fetch(&slice)
            while !slice.isEmpty {
                guard let message = slice.takeFirst() else { continue }
                let fields = store.messages.read(message)
                found[String(fields.topic)] = String(fields.payload)
                store.messages.release(message)
            }
        }
        return found
    }
}

@Suite struct DiscTests {
    @Test("Everything of a message survives a restart", arguments: [StorageType.disc, .discOnly])
    func reload(storage: StorageType) throws {
        let bench = try DiscBench(storage)
        defer { bench.remove() }
        let calls = FakeHost.calls
        let long = String(repeating: "long/topic/", count: 200) + "é"
        for topic in ["a/b", "/", "$SYS/x", long] {
            let message = calls.make(
                topic, "payload of \(topic)", qos: 2, timestamp: 5_000, expiry: 60, properties: "\u{1}\u{1}",
                clientID: "client", username: "user")
            _ = topic.asKey { bench.store.put($0, message, deadline: 65_000, limit: 0) }
        }
        bench.store.put("gone", "x")
        try bench.store.flush()
        bench.store.remove("gone")
        try bench.reopen(storage, now: 6_000)
        #expect(bench.store.counts().live == 4)
        var cursor = long.asKey { Cursor(filter: $0) }!
        var slice = Slice(keepsKeys: true)
        bench.store.fill(&slice, from: &cursor, limit: 64, now: 6_000)
        try bench.store.fetch(&slice)
        let fields = calls.read(try #require(slice.message()))
        #expect(String(fields.topic) == long)
        #expect(String(fields.payload) == "payload of \(long)")
        #expect(fields.qos == 2 && fields.retain && fields.has_expiry && fields.expiry_s == 60)
        #expect(fields.timestamp_ms == 5_000)
        #expect(String(fields.properties) == "\u{1}\u{1}")
        #expect(String(fields.from_clientid) == "client" && String(fields.from_username) == "user")
        slice.free(calls)
        cursor.free()
        #expect(try bench.fetched("#", now: 6_000).count == 3)
        try bench.reopen(storage, now: 65_000)
        #expect(bench.store.counts() == (0, 4))
        try bench.reopen(storage, now: 0)
        #expect(bench.store.counts() == (0, 0))
    }

    @Test("Random changes with a writer in between end up on disc as in memory", arguments: 1...6)
    func random(seed: Int) throws {
        var dice = Dice(UInt64(seed))
        let storage = seed % 2 == 0 ? StorageType.disc : .discOnly
        let bench = try DiscBench(storage)
        defer { bench.remove() }
        var model: [String: String] = [:]
        for round in 0..<12 {
            for step in 0..<400 {
                let topic = ModelTests.topic(&dice)
                if Int.random(in: 0..<10, using: &dice) < 6 {
                    bench.store.put(topic, "\(round).\(step)")
                    model[topic] = "\(round).\(step)"
                } else {
                    bench.store.remove(topic)
                    model[topic] = nil
                }
                if step % 90 == 0 { _ = try bench.store.writeBatch(syncs: false) }
            }
            if round % 3 == 2 { try bench.reopen(storage) }
            let plain = try bench.fetched("#").merging(bench.fetched("$x/#")) { $1 }
            #expect(plain == model)
            #expect(bench.store.counts().live == model.count)
        }
    }

    @Test("What was not written is lost at a crash, what was written is not")
    func crash() throws {
        let bench = try DiscBench(.disc)
        defer { bench.remove() }
        bench.store.put("a", "1")
        _ = try bench.store.writeBatch()
        bench.store.put("a", "2")
        bench.store.put("b", "1")
        try bench.reopen(.disc, flushing: false)
        #expect(bench.store.matches("#").map(\.payload) == ["1"])
    }

    @Test("The map grows when it is full")
    func growth() throws {
        let bench = try DiscBench(.discOnly)
        defer { bench.remove() }
        bench.store.disc?.state.pointee.mapSize = 1 << 20
        try Disc.check(mdb_env_set_mapsize(bench.store.disc?.state.pointee.env, 1 << 20))
        let payload = String(repeating: "x", count: 10_000)
        for i in 0..<1_000 { bench.store.put("grow/\(i)", payload) }
        try bench.store.flush()
        #expect(try bench.fetched("#").count == 1_000)
        #expect(bench.store.disc!.state.pointee.mapSize >= 1 << 24)
        try bench.reopen(.disc)
        #expect(bench.store.matches("grow/+").count == 1_000)
    }

    @Test("A flush writes what waits behind many topics that came and went")
    func flushBehindDeleted() throws {
        let bench = try DiscBench(.disc)
        defer { bench.remove() }
        for i in 0..<10_000 {
            bench.store.put("gone/\(i)", "x")
            bench.store.remove("gone/\(i)")
        }
        bench.store.put("here", "x")
        try bench.reopen(.disc)
        #expect(bench.store.matches("#").map(\.topic) == ["here"])
    }

    @Test("A topic that comes and goes faster than the writer leaves nothing behind")
    func churn() throws {
        let bench = try DiscBench(.disc)
        defer { bench.remove() }
        for i in 0..<10_000 {
            bench.store.put("t/\(i % 3)", "x")
            bench.store.remove("t/\(i % 3)")
        }
        #expect(bench.store.counts() == (0, 3))
        try bench.store.flush()
        #expect(bench.store.state.pointee.tree.root == nil)
        #expect(bench.store.counts() == (0, 0))
    }
}

@Suite struct DamageTests {
    static func openError(_ damage: (String) throws -> Void) throws -> String {
        let bench = try DiscBench(.disc)
        for i in 0..<5_000 { bench.store.put("t/\(i)", String(repeating: "x", count: 200)) }
        try bench.store.flush()
        bench.close()
        let file = bench.directory + "/data.mdb"
        defer { bench.removeFiles() }
        try damage(file)
        let store = Store.make(.disc, messages: FakeHost.calls)
        defer { store.destroy() }
        do throws(DiscFailure) {
            let disc = try Disc.open(bench.directory)
            defer { disc.close() }
            try store.attach(disc, now: 0)
            for i in 0..<50 { store.put("t/\(i * 100)", "y") }
            try store.flush()
            return ""
        } catch { return error.text }
    }

    @Test("A damaged database is one sentence")
    func damaged() throws {
        let zeros = try Self.openError { file in
            let handle = try #require(FileHandle(forWritingAtPath: file))
            try handle.write(contentsOf: Data(repeating: 0, count: 8192))
            try handle.close()
        }
        #expect(zeros.hasPrefix("The retained messages in ") && zeros.hasSuffix("."), "\(zeros)")
        let cut = try Self.openError { #expect(truncate($0, 65_536) == 0) }
        #expect(cut.contains("data.mdb is cut off"), "\(cut)")
        let flipped = try Self.openError { file in
            var data = try Data(contentsOf: URL(fileURLWithPath: file))
            // Old copies of a page lie around in the file: every payload changes.
            var from = data.startIndex
            while let at = data.range(of: Data(repeating: 0x78, count: 200), in: from..<data.endIndex) {
                data[at.lowerBound + 7] = 0x79
                from = at.upperBound
            }
            #expect(from > data.startIndex)
            try data.write(to: URL(fileURLWithPath: file))
        }
        #expect(flipped == "A record is damaged.")
    }

    /// What LMDB itself would follow into nowhere: offsets, numbers of pages, kinds of pages.
    @Test("Damage to the pages' structure is found before LMDB meets it", arguments: 0..<60)
    func structure(_ seed: UInt64) throws {
        let text = try Self.openError { file in
            var dice = Dice(seed)
            let url = URL(fileURLWithPath: file)
            var data = try Data(contentsOf: url)
            let branches = stride(from: 0, to: data.count, by: 4096).filter { data[$0 + 10] == 1 }
            let page = try #require(seed % 2 == 0 ? branches.randomElement(using: &dice) : 4096 * Int(seed % 4 / 3))
            let reach = seed % 2 == 0 ? 64 : 152
            for _ in 0..<1 + seed % 5 {
                data[page + Int.random(in: 0..<reach, using: &dice)] = .random(in: 0...255, using: &dice)
            }
            try data.write(to: url)
        }
        #expect(text == "" || text.hasSuffix("."))
    }

    @Test("A directory that cannot be made is one sentence")
    func noDirectory() {
        #expect(throws: DiscFailure.self) { try Disc.open("/dev/null/retainer") }
    }

    @Test("A record with any byte changed, or cut anywhere, is refused")
    func records() {
        let calls = FakeHost.calls
        let message = calls.make("a/b", "payload", qos: 1, timestamp: 77, expiry: 5, clientID: "c")
        defer { calls.release(message) }
        let record = Record(calls.read(message), deadline: 5_077)
        var bytes = [UInt8](repeating: 0, count: record.size(withTopic: true))
        bytes.withUnsafeMutableBytes { record.encode(to: $0, withTopic: true) }
        #expect(bytes.withUnsafeBytes { Record($0)?.deadline } == 5_077)
        #expect(bytes.withUnsafeBytes { Record($0)?.fields.expiry_s } == 5)
        for i in bytes.indices where !(2..<4).contains(i) {
            var copy = bytes
            copy[i] ^= 0x10
            #expect(copy.withUnsafeBytes { Record($0) } == nil, "byte \(i)")
        }
        for count in bytes.indices {
            #expect(bytes[..<count].withUnsafeBytes { Record($0) } == nil)
        }
    }
}
