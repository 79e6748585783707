// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB
import Synchronization

/// Where retained messages live.
enum StorageType: UInt8 {
    case ram
    /// All in memory, LMDB behind it.
    case disc
    /// Topics in memory, bodies in LMDB.
    case discOnly
}

/// Everything the plugin keeps, in one malloc'ed block without class or function pointers, so that `plugins reload` can
/// hand it to another image. Any change of this struct, of `Item`, `TreeNode` or `DiscState`, and of how they are locked,
/// is a new `layout`.
///
/// Locking: `lock` guards all fields but the atomic ones, and `Item.message`, which those who share it may replace. Writers go first, so that
/// publishers do not wait for a crowd of subscribers; no hold is longer than `Store.sliceLimit` messages. Nothing that
/// can block or call back into the plugin runs under it: the host's `retain` and `release` only count.
/// Order of locks: `DiscState.gate` is never taken while `lock` is held, nor the other way round.
struct StoreState: ~Copyable {
    static let layout: UInt32 = 2

    let storage: StorageType
    /// Images that use the store: 1, and 2 while a reload is under way.
    let owners = Atomic<Int>(1)
    var lock = pthread_rwlock_t()
    /// Grows with every change of any retained message.
    let changes = Atomic<UInt64>(0)
    /// Grows with every batch the writer has finished.
    let commits = Atomic<UInt64>(0)
    /// 1 while a writer task is scheduled or running.
    let writing = Atomic<UInt32>(0)
    var tree = TopicTree()
    var expiry = ExpiryHeap()
    var queue = WriteQueue()
    /// Items that are live; the tree also holds deleted ones until the writer has been there.
    /// Like `peak`, the most there ever were, changed under the lock and read freely.
    let live = Atomic<Int>(0)
    let peak = Atomic<Int>(0)
    /// Feeds cut off by a reload, for the new image to take up.
    var parked = ParkedFeeds()
    var disc: UnsafeMutablePointer<DiscState>?

    init(storage: StorageType) { self.storage = storage }
}

/// Items whose state on disc is older than in memory, oldest change first. Every item is here at most once.
struct WriteQueue {
    private var slots: UnsafeMutablePointer<ItemRef>?
    private var head = 0
    private var tail = 0
    private var capacity = 0

    init() {}

    var count: Int { tail - head }

    mutating func append(_ item: ItemRef) {
        if tail == capacity { makeRoom() }
        slots?[tail] = item
        tail += 1
    }

    mutating func popFirst() -> ItemRef? {
        guard head < tail, let slots else { return nil }
        let item = slots[head]
        head += 1
        if head == tail { release() }
        return item
    }

    mutating func free() {
        CLMDB.free(slots)
        self = WriteQueue()
    }

    /// An empty queue starts again at the front, and gives a large block back.
    private mutating func release() {
        head = 0
        tail = 0
        if capacity > 65_536 { free() }
    }

    private mutating func makeRoom() {
        if head > capacity / 2, let slots {
            memmove(slots, slots + head, count * MemoryLayout<ItemRef>.size)
            tail -= head
            head = 0
            return
        }
        capacity = max(1024, capacity * 2)
        guard let grown = realloc(slots, capacity * MemoryLayout<ItemRef>.size) else {
            fatalError("retainer: out of memory")
        }
        slots = grown.assumingMemoryBound(to: ItemRef.self)
    }
}
