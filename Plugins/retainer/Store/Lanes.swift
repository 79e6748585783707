// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// The store's lock. Who shares it takes the mutex of one lane, that of the processor it runs on, so that publishers on
/// different processors never touch the same cache line; who wants it alone takes all of them in their order.
///
/// Two who run on one processor exclude each other even when they share, which costs nothing: there only one runs at a
/// time. A holder must not take the lock again.
struct Lanes {
    private let base: UnsafeMutableRawPointer
    let count: Int

    /// A power of two.
    private static let most = 16
    /// Two cache lines, because processors fetch them in pairs.
    private static let stride = 128

    init() {
        var count = 1
        while count < Self.most, count < Int(clmdb_processors()) { count *= 2 }
        guard let raw = aligned_alloc(Self.stride, count * Self.stride) else { fatalError("retainer: out of memory") }
        base = raw
        self.count = count
        for i in 0..<count {
            let lane = self[i]
            lane.initialize(to: Lane())
            pthread_mutex_init(&lane.pointee.mutex, nil)
        }
    }

    func free() {
        for i in 0..<count {
            pthread_mutex_destroy(&self[i].pointee.mutex)
            self[i].pointee.queue.free()
        }
        CLMDB.free(base)
    }

    subscript(index: Int) -> UnsafeMutablePointer<Lane> {
        (base + index * Self.stride).assumingMemoryBound(to: Lane.self)
    }

    /// Takes the lock with others; give back what comes out.
    @inline(__always)
    func share() -> UnsafeMutablePointer<Lane> {
        let lane = self[Int(clmdb_processor()) & (count - 1)]
        clmdb_lock(&lane.pointee.mutex)
        return lane
    }

    @inline(__always)
    func giveBack(_ lane: UnsafeMutablePointer<Lane>) { pthread_mutex_unlock(&lane.pointee.mutex) }

    func takeAll() { for i in 0..<count { clmdb_lock(&self[i].pointee.mutex) } }

    func giveAllBack() { for i in 0..<count { pthread_mutex_unlock(&self[i].pointee.mutex) } }
}

/// A mutex, and what those who hold it have for the writer.
struct Lane {
    var mutex = pthread_mutex_t()
    var queue = WriteQueue()
    /// The message replaced last, which the next one that is replaced releases: until then its memory, which the copy
    /// after that gets, has come from wherever it was.
    var surplus: OpaquePointer?
}

/// Items whose state on disc is older than in memory, in no order. Every item is in one queue at most.
struct WriteQueue {
    private(set) var items: UnsafeMutablePointer<ItemRef>?
    private(set) var count = 0
    private var capacity = 0

    init() {}

    @inline(__always)
    mutating func append(_ item: ItemRef) {
        if count == capacity { makeRoom() }
        items?[count] = item
        count += 1
    }

    /// The queue as it was; this one is empty then.
    mutating func takeAll() -> WriteQueue {
        let all = self
        self = WriteQueue()
        return all
    }

    /// Moves everything from `other`, which is freed.
    mutating func append(_ other: consuming WriteQueue) {
        var other = other
        if count == 0 {
            free()
            self = other
            return
        }
        while count + other.count > capacity { makeRoom() }
        if let items, let from = other.items {
            memcpy(items + count, from, other.count * MemoryLayout<ItemRef>.size)
            count += other.count
        }
        other.free()
    }

    /// Orders the items by their keys, which never change: no lock is needed.
    func sort() {
        var all = UnsafeMutableBufferPointer(start: items, count: count)
        all.sort { TopicKey.compare($0.key, $1.key) < 0 }
    }

    mutating func free() {
        CLMDB.free(items)
        self = WriteQueue()
    }

    private mutating func makeRoom() {
        capacity = max(64, capacity * 2)
        guard let grown = realloc(items, capacity * MemoryLayout<ItemRef>.size) else {
            fatalError("retainer: out of memory")
        }
        items = grown.assumingMemoryBound(to: ItemRef.self)
    }
}
