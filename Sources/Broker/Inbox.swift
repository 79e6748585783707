// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Sessions
import Topics

/// A message on its way to another shard, laid out in a chunk: this header, the message and the bytes it refers to, ready
/// to be delivered where it lies. A payload over `inlineLimit` stays where it is, and the message travels as a counted
/// reference. Of one that was just received topic and payload may stay in the input.
struct Parcel {
    var size: UInt32
    var kind: Kind
    var options: UInt8 = 0
    var identifier: UInt32 = 0
    /// Serial of the share group, 0: none.
    var group: UInt32 = 0
    /// Of a `directed` one, else a `TopicClue`.
    var session: UInt64
    /// Of the topic; 0: not computed.
    var hash: UInt64
    /// Handle of the connection that published, to hold it back when a receiver cannot keep up; 0: none.
    var publisher: UInt64
    /// Large message, one reference; then nothing follows.
    var shared: MessageRef?
    /// Of a `lent` one: where its topic and payload are. The chunk has a reference to it.
    var block: InputRef?

    /// For one session: which, its options and subscription identifier, and the share group.
    typealias Direction = (session: UInt64, options: UInt8, identifier: UInt32, group: UInt32)

    /// With a message of that many bytes behind the header.
    static func bytes(for message: Int) -> Int { (MemoryLayout<Parcel>.stride &+ message &+ 15) & ~15 }

    /// Of the payload, of the topic and of all the rest, each: a parcel fits an empty chunk whatever it holds.
    static let inlineLimit = 4096

    struct Kind: OptionSet {
        let rawValue: UInt8
        /// For one session only: a share group's choice. Then `session`, `options` and `identifier` say how.
        static let directed = Kind(rawValue: 1)
        /// Topic and payload are in `block`.
        static let lent = Kind(rawValue: 2)
        /// The publisher's topics differ from message to message.
        static let topicsDiffer = Kind(rawValue: 4)
        /// The topic matches one filter, which the clue in `session` names.
        static let located = Kind(rawValue: 8)
    }
}

/// What the loop that received a message can tell the others of its topic, in one word: whether the publisher's topics
/// differ from message to message, the node of the only filter that the topic matches, if that is known, and of the
/// table's epoch of all filters at that time the lower half.
struct TopicClue: BitwiseCopyable {
    private var bits: UInt64 = 0

    static let none = TopicClue()

    private init() {}

    @inline(__always)
    init(_ r: RouteRef, differs: Bool) {
        bits =
            (differs ? 1 << 63 : 0) | UInt64(r.pointee.node) << 32
            | UInt64(UInt32(truncatingIfNeeded: r.pointee.epoch))
    }

    /// As it stands in a parcel.
    @inline(__always)
    init(_ bits: UInt64) { self.bits = bits }

    @inline(__always)
    var node: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & TopicClue.greatestNode }

    @inline(__always)
    var inParcel: UInt64 { bits }

    @inline(__always)
    var kind: Parcel.Kind {
        Parcel.Kind(rawValue: UInt8(truncatingIfNeeded: bits >> 63) << 2 | (node != 0 ? 8 : 0))
    }

    @inline(__always)
    func isOf(epoch: UInt64) -> Bool { UInt32(truncatingIfNeeded: bits) == UInt32(truncatingIfNeeded: epoch) }

    static let greatestNode = UInt32.max >> 1
}

extension UnsafeMutablePointer where Pointee == Parcel {
    /// What follows the header of one that is not `shared`.
    @inline(__always)
    var message: MessageRef { UnsafeMutableRawPointer(self + 1).assumingMemoryBound(to: Message.self) }
}

extension Message {
    /// Between loops, as a counted reference.
    @inline(__always)
    var travelsUncopied: Bool {
        payloadSize > Parcel.inlineLimit || topicSize > Parcel.inlineLimit || restSize > Parcel.inlineLimit
    }
}

/// A run of parcels from one shard to another. Filled during a tick, pushed once, emptied and recycled by the
/// receiver: no allocation and no reference count per message.
struct Chunk {
    var next: UnsafeMutablePointer<Chunk>?
    var used: Int
    var count: Int
    /// Bytes of large messages that it only refers to.
    var referred: Int = 0
    /// Blocks of input it refers to.
    var lenderCount = 0
    var lenders = InlineArray<16, InputRef?>(repeating: nil)
    /// Bytes for parcels.
    let room: Int

    /// Most ticks have little for another loop: what waits in a burst would be many chunks with a message each.
    static let smallSize = 4096
    static let size = 65536
    /// With more it goes on its way before the tick ends.
    static let referredLimit = 1 << 20

    /// Refers to a block once, however much of it is in use. False: it refers to too many already.
    mutating func refer(to block: InputRef) -> Bool {
        if lenderCount > 0, lenders[lenderCount - 1] == block { return true }
        guard lenderCount < lenders.count else { return false }
        cr_input_retain(block)
        lenders[lenderCount] = block
        lenderCount += 1
        return true
    }

    mutating func letGo() {
        for i in 0..<lenderCount { cr_input_release(lenders[i]) }
        lenderCount = 0
    }

    var isSmall: Bool { room < Self.size - MemoryLayout<Chunk>.stride }

    static func allocate(small: Bool) -> UnsafeMutablePointer<Chunk> {
        let bytes = small ? smallSize : size
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        let chunk = raw.bindMemory(to: Chunk.self, capacity: 1)
        chunk.initialize(to: Chunk(next: nil, used: 0, count: 0, room: bytes - MemoryLayout<Chunk>.stride))
        return chunk
    }
}

extension UnsafeMutablePointer where Pointee == Chunk {
    /// Adds a parcel of `size` bytes, for which there is room, and fills in its header.
    @inline(__always)
    func add(
        _ size: Int, _ hash: UInt64, publisher: UInt64, clue: TopicClue, directed: Parcel.Direction?
    ) -> UnsafeMutablePointer<Parcel> {
        let at = UnsafeMutableRawPointer(self + 1) + pointee.used
        pointee.used &+= size
        pointee.count &+= 1
        let parcel = at.bindMemory(to: Parcel.self, capacity: 1)
        parcel.initialize(
            to: Parcel(
                size: UInt32(truncatingIfNeeded: size), kind: clue.kind, session: clue.inParcel, hash: hash,
                publisher: publisher))
        if let directed {
            parcel.pointee.kind = .directed
            parcel.pointee.options = directed.options
            parcel.pointee.identifier = directed.identifier
            parcel.pointee.group = directed.group
            parcel.pointee.session = directed.session
        }
        return parcel
    }
}

/// Empty chunks of both sizes, for use again.
struct ChunkPool {
    private var small: UnsafeMutablePointer<Chunk>?
    private var large: UnsafeMutablePointer<Chunk>?
    private var smallCount = 0
    private var largeCount = 0

    private static let mostSmall = 64
    private static let mostLarge = 16

    mutating func take(small wantsSmall: Bool) -> UnsafeMutablePointer<Chunk> {
        guard let chunk = wantsSmall ? small : large else { return Chunk.allocate(small: wantsSmall) }
        if wantsSmall {
            small = chunk.pointee.next
            smallCount -= 1
        } else {
            large = chunk.pointee.next
            largeCount -= 1
        }
        chunk.pointee.next = nil
        chunk.pointee.used = 0
        chunk.pointee.count = 0
        return chunk
    }

    mutating func give(_ chunk: UnsafeMutablePointer<Chunk>) {
        if chunk.pointee.isSmall, smallCount < Self.mostSmall {
            chunk.pointee.next = small
            small = chunk
            smallCount += 1
        } else if !chunk.pointee.isSmall, largeCount < Self.mostLarge {
            chunk.pointee.next = large
            large = chunk
            largeCount += 1
        } else {
            UnsafeMutableRawPointer(chunk).deallocate()
        }
    }

    /// Returns all to the system.
    mutating func trim() {
        for head in [small, large] {
            var next = head
            while let chunk = next {
                next = chunk.pointee.next
                UnsafeMutableRawPointer(chunk).deallocate()
            }
        }
        self = ChunkPool()
    }
}

/// Chunks that wait for a shard: pushed by any, taken all at once by the owner.
struct Inbox {
    /// Head of a stack (newest first), an atomic pointer in a cache line of its own.
    private let head: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Bytes waiting: what publishers are slowed by.
    let waiting: UnsafeMutablePointer<Int64>

    init() {
        head = .allocate(capacity: 16)
        head.initialize(repeating: nil, count: 16)
        waiting = .allocate(capacity: 16)
        waiting.initialize(repeating: 0, count: 16)
    }

    var isEmpty: Bool { cr_load_ptr(head) == nil }

    func push(_ chunk: UnsafeMutablePointer<Chunk>) {
        _ = cr_add_i64(waiting, Int64(chunk.pointee.used + chunk.pointee.referred))
        var expected = cr_load_ptr(head)
        repeat {
            chunk.pointee.next = expected?.assumingMemoryBound(to: Chunk.self)
        } while !cr_cas_ptr(head, &expected, chunk)
    }

    /// All waiting chunks, oldest first.
    func takeAll() -> UnsafeMutablePointer<Chunk>? {
        var newest = cr_exchange_ptr(head, nil)?.assumingMemoryBound(to: Chunk.self)
        var oldest: UnsafeMutablePointer<Chunk>?
        while let chunk = newest {
            newest = chunk.pointee.next
            chunk.pointee.next = oldest
            oldest = chunk
        }
        return oldest
    }

    func done(_ bytes: Int) { _ = cr_add_i64(waiting, -Int64(bytes)) }
}
