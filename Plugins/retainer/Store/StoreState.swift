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
/// hand it to another image. Any change of this struct, of `Item`, `TreeNode`, `TopicIndex` or `DiscState`, and of how
/// they are locked, is a new `layout`.
///
/// Locking: `lanes` guards all fields but the atomic ones and `run`, and is shared by those who only replace messages
/// (see `Item`). No hold is longer than `Store.sliceLimit` messages. Nothing that can block or call back into the plugin
/// runs under it: the host's `retain` and `release` only count.
/// Order of locks: `DiscState.gate` is never taken while `lanes` is held, nor the other way round.
struct StoreState: ~Copyable {
    static let layout: UInt32 = 4

    let storage: StorageType
    /// 0 or 1: which of its two marks an item gets that is queued now. The writer flips it when it begins a run.
    var turn: UInt8 = 0
    let lanes = Lanes()
    /// All items, those that are not live any more included, by topic.
    let index: TopicIndex
    /// The same in the order of topics.
    var tree = TopicTree()
    var expiry = ExpiryHeap()
    /// Walks that have begun and not ended. While there is none `changes` may stand still.
    let walks = Atomic<Int>(0)
    /// What publishers read on their way ends here; what is written all the time stands in other cache lines.
    private var distance: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)

    /// Images that use the store: 1, and 2 while a reload is under way.
    let owners = Atomic<Int>(1)
    /// Grows with every change of any retained message that a walk could have seen.
    let changes = Atomic<UInt64>(0)
    /// Grows with every batch that is on disc, before any body of it leaves memory.
    let commits = Atomic<UInt64>(0)
    /// 1 while a writer task is scheduled or running.
    let writing = Atomic<UInt32>(0)
    /// What the writer has before it. Only the writer touches it.
    let run = UnsafeMutablePointer<WriteRun>.allocate(capacity: 1)
    /// Items of the run not yet taken.
    let runLeft = Atomic<Int>(0)
    /// Items that are live; the tree also holds deleted ones until the writer has been there.
    /// Like `peak`, the most there ever were, changed under the lock and read freely.
    let live = Atomic<Int>(0)
    let peak = Atomic<Int>(0)
    /// Feeds cut off by a reload, for the new image to take up.
    var parked = ParkedFeeds()
    var disc: UnsafeMutablePointer<DiscState>?

    init(storage: StorageType, secret: TopicHash.Secret) {
        self.storage = storage
        index = TopicIndex(secret)
        run.initialize(to: WriteRun())
    }

    /// How an item is marked that is queued now.
    var queuedNow: DiscFlags { turn == 0 ? .even : .odd }
}

/// Items on their way to the disc, in the order of topics. Neighbours share pages of LMDB, so a page with twenty of them
/// is copied, written and put on stable storage once.
///
/// Many items are found by reading the whole tree, which has the order already; few are sorted.
struct WriteRun {
    /// Sorted; empty while the tree is read instead.
    var queue = WriteQueue()
    /// Of `queue`.
    var next = 0
    /// Where reading the tree goes on.
    var position = ByteBuffer()
    /// The mark of items that belong to this run.
    var mark: DiscFlags = .even
    var readsTree = false
    /// Most of the tree is in the run: many items need few pages.
    var isDense = false

    init() {}

    mutating func takeFirst() -> ItemRef? {
        guard next < queue.count, let items = queue.items else { return nil }
        next += 1
        return items[next - 1]
    }

    mutating func free() {
        queue.free()
        position.free()
        self = WriteRun()
    }
}
