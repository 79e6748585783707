// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization
import Testing

/// What the writer takes, and in which order.
@Suite struct RunTests {
    /// Topics of the next batch.
    private static func take(_ store: Store, limit: Int = 100_000) -> [String] {
        guard store.state.pointee.runLeft.load(ordering: .relaxed) > 0 || store.beginRun() else { return [] }
        let writes = UnsafeMutablePointer<PendingWrite>.allocate(capacity: limit)
        defer { writes.deallocate() }
        let count = store.takeWrites(writes, limit)
        return (0..<count).map { i in
            let item = writes[i].item
            if let message = writes[i].message { store.messages.release(message) }
            item.disc.pointee.remove(.writing)
            var topic = ByteBuffer()
            defer { topic.free() }
            topic.appendTopic(item.key)
            return String(decoding: topic.bytes, as: UTF8.self)
        }
    }

    @Test("A run has each topic that waits once, in order", arguments: [3, 40, 700, 3_000])
    func order(waiting: Int) {
        var dice = Dice(UInt64(waiting))
        let store = Store.make(.disc, messages: FakeHost.calls)
        defer { store.destroy() }
        let topics = (0..<3_000).map { "t/\($0)" }
        for topic in topics { store.put(topic, "1") }
        #expect(Self.take(store) == topics.sorted(by: Self.isBefore))
        let some = topics.shuffled(using: &dice).prefix(waiting)
        for topic in some { for _ in 0..<2 { store.put(topic, "2") } }
        #expect(store.beginRun())
        #expect(store.state.pointee.run.pointee.readsTree == (waiting * 64 > 3_000))
        #expect(store.state.pointee.run.pointee.isDense == (waiting * 4 > 3_000))
        #expect(Self.take(store) == some.sorted(by: Self.isBefore))
        #expect(Self.take(store).isEmpty && store.counts().queued == 0)
    }

    @Test("What changes while a run is under way is in the next one", arguments: [10, 2_000])
    func next(waiting: Int) {
        let store = Store.make(.disc, messages: FakeHost.calls)
        defer { store.destroy() }
        for i in 0..<2_000 { store.put("t/\(i)", "1") }
        while !Self.take(store).isEmpty {}
        let topics = (0..<waiting).map { "t/\($0)" }.sorted(by: Self.isBefore)
        for topic in topics { store.put(topic, "2") }
        #expect(Self.take(store, limit: 4) == Array(topics[..<4]))
        // One that the run has taken, one it has not, and new ones before and behind its place.
        store.put(topics[0], "3")
        store.put(topics[waiting - 1], "3")
        store.put("a", "3")
        store.put("t/5/new", "3")
        var rest: [String] = []
        while store.state.pointee.runLeft.load(ordering: .relaxed) > 0 { rest += Self.take(store, limit: 300) }
        #expect(rest == Array(topics[4...]))
        #expect(store.counts().queued == 3)
        #expect(Self.take(store) == ["a", topics[0], "t/5/new"])
    }

    /// By bytes, in which `/` is the lowest.
    private static func isBefore(_ a: String, _ b: String) -> Bool {
        a.replacing("/", with: "\0").utf8.lexicographicallyPrecedes(b.replacing("/", with: "\0").utf8)
    }

    @Test("A run that fails goes on, and what failed comes again")
    func failure() throws {
        let bench = try DiscBench(.disc)
        defer { bench.remove() }
        let store = bench.store
        for i in 0..<10_000 { store.put("t/\(i)", "1") }
        #expect(try store.writeBatch() == Store.denseBatchLimit)
        store.remove("t/9999")
        // LMDB refuses to write to a database that is not open.
        store.disc!.state.pointee.database += 100
        #expect(throws: DiscFailure.self) { _ = try store.writeBatch() }
        store.disc!.state.pointee.database -= 100
        #expect(store.counts() == (9_999, 10_000 - Store.denseBatchLimit))
        try bench.reopen(.disc)
        #expect(bench.store.counts().live == 9_999 && bench.store.matches("#").count == 9_999)
    }

    private static let released = Atomic<Int>(0)

    @Test("The message replaced last is released when the next one is, or at the tick")
    func surplus() {
        let table = UnsafeMutablePointer<martlet_message_v1>.allocate(capacity: 1)
        defer { table.deallocate() }
        table.initialize(to: FakeHost.calls.table.pointee)
        table.pointee.release = { message in
            RunTests.released.add(1, ordering: .relaxed)
            FakeHost.calls.release(message)
        }
        let store = Store.make(.ram, messages: MessageCalls(host: FakeHost.calls.host, table: table))
        for i in 0...100 { store.put("t", "\(i)") }
        // Each lane holds one back, and this thread may have changed its processor.
        #expect((100 - store.state.pointee.lanes.count..<100).contains(Self.released.load(ordering: .relaxed)))
        store.releaseSurplus()
        #expect(Self.released.load(ordering: .relaxed) == 100)
        store.put("t", "new")
        store.destroy()
        #expect(Self.released.load(ordering: .relaxed) == 102)
    }
}
