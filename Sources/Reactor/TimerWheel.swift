// SPDX-License-Identifier: Apache-2.0

/// A timer that lives inside what it times: no allocation to arm or disarm.
@frozen
public struct TimerNode {
    @usableFromInline var next: UnsafeMutablePointer<TimerNode>?
    @usableFromInline var previous: UnsafeMutablePointer<TimerNode>?
    /// Loop time in milliseconds.
    public var deadline: UInt64 = 0
    /// Called once when due, disarmed; it may arm the timer again.
    public var fire: (@convention(c) (UnsafeMutableRawPointer) -> Void)?
    public var context: UnsafeMutableRawPointer?
    @usableFromInline var slot: UInt16 = TimerNode.idle

    @usableFromInline static let idle: UInt16 = .max

    public init() {}
    public var isArmed: Bool { slot != TimerNode.idle }
}

/// Hierarchical timing wheel, four levels of 256 slots, 10 ms resolution: arming and disarming cost a few stores,
/// whatever the number of timers. Time is a parameter; the wheel reads no clock.
///
/// Its state is behind a pointer and its functions do not mutate the struct: a timer that fires arms and disarms
/// others while `advance` is under way.
public struct TimerWheel: ~Copyable {
    static let resolution: UInt64 = 10
    private static let bits = 8
    private static let slots = 256
    private static let levels = 4

    /// Heads of circular lists, one sentinel node per slot.
    private let heads: UnsafeMutablePointer<TimerNode>
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var tick: UInt64
        var armed = 0
        /// Timers on each level.
        var onLevel = InlineArray<4, Int>(repeating: 0)
        /// Which slots of level 0 are not empty.
        var near = InlineArray<4, UInt64>(repeating: 0)
    }

    private var tick: UInt64 { state.pointee.tick }
    public var armed: Int { state.pointee.armed }

    public init(now: UInt64) {
        state = .allocate(capacity: 1)
        state.initialize(to: State(tick: now / Self.resolution))
        heads = .allocate(capacity: Self.levels * Self.slots)
        for i in 0..<(Self.levels * Self.slots) {
            let head = heads + i
            head.initialize(to: TimerNode())
            head.pointee.next = head
            head.pointee.previous = head
        }
    }

    deinit {
        heads.deallocate()
        state.deallocate()
    }

    /// Arms (or moves) a timer. A deadline in the past fires with the next advance.
    public func arm(_ node: UnsafeMutablePointer<TimerNode>, at deadline: UInt64) {
        if node.pointee.isArmed { disarm(node) }
        node.pointee.deadline = deadline
        state.pointee.armed += 1
        place(node)
    }

    public func disarm(_ node: UnsafeMutablePointer<TimerNode>) {
        guard node.pointee.isArmed else { return }
        unlink(node)
        state.pointee.armed -= 1
    }

    /// Fires what is due at `now`, oldest slot first. With more than `limit` timers due, the next advance fires the rest.
    public func advance(to now: UInt64, limit: Int = .max, _ fire: (UnsafeMutablePointer<TimerNode>) -> Void) {
        let target = now / Self.resolution
        var room = limit
        while let stop = nextStop(), stop <= target {
            state.pointee.tick = stop
            cascade()
            let head = heads + Int(stop & 255)
            while let node = head.pointee.next, node != head {
                guard room > 0 else {
                    // The slot is looked at once more.
                    state.pointee.tick = stop - 1
                    return
                }
                room -= 1
                unlink(node)
                state.pointee.armed -= 1
                fire(node)
            }
        }
        state.pointee.tick = max(tick, target)
    }

    /// Milliseconds until the wheel wants to be advanced again; nil when nothing is armed. May be early, never late.
    public func untilNext(now: UInt64) -> UInt64? {
        guard let stop = nextStop() else { return nil }
        let due = stop * Self.resolution
        return due > now ? due - now : 0
    }

    /// The next tick with something to do: a slot that is due, or a level's boundary, where timers come down.
    private func nextStop() -> UInt64? {
        let near = nextNear()
        for level in 1..<Self.levels where state.pointee.onLevel[level] > 0 {
            let bits = UInt64(level * Self.bits)
            return min(near ?? .max, ((tick >> bits) + 1) << bits)
        }
        return near
    }

    /// The next tick whose slot of level 0 is not empty.
    private func nextNear() -> UInt64? {
        guard state.pointee.onLevel[0] > 0 else { return nil }
        let from = Int((tick + 1) & 255)
        var word = from >> 6
        var bits = state.pointee.near[word] & (.max << UInt64(from & 63))
        // The first word a second time, for the slots before `from`.
        for _ in 0..<4 where bits == 0 {
            word = (word + 1) & 3
            bits = state.pointee.near[word]
        }
        let slot = word << 6 + bits.trailingZeroBitCount
        return tick + 1 + UInt64((slot - from) & 255)
    }

    /// In ticks, rounded up: a timer never fires before its deadline.
    private func due(_ node: UnsafeMutablePointer<TimerNode>) -> UInt64 {
        let deadline = node.pointee.deadline
        return deadline / Self.resolution + (deadline % Self.resolution == 0 ? 0 : 1)
    }

    private func place(_ node: UnsafeMutablePointer<TimerNode>) {
        let due = max(due(node), tick + 1)
        let distance = due - tick
        var level = 0
        while level < Self.levels - 1 && distance >= 1 << UInt64((level + 1) * Self.bits) { level += 1 }
        // Further away than the wheel reaches, it comes round on the last level and is placed again.
        link(node, level: level, slot: Int((due >> UInt64(level * Self.bits)) & 255))
    }

    private func link(_ node: UnsafeMutablePointer<TimerNode>, level: Int, slot: Int) {
        let head = heads + level * Self.slots + slot
        let last = head.pointee.previous!
        node.pointee.slot = UInt16(level * Self.slots + slot)
        node.pointee.next = head
        node.pointee.previous = last
        last.pointee.next = node
        head.pointee.previous = node
        state.pointee.onLevel[level] += 1
        if level == 0 { state.pointee.near[slot >> 6] |= 1 << UInt64(slot & 63) }
    }

    private func unlink(_ node: UnsafeMutablePointer<TimerNode>) {
        let slot = Int(node.pointee.slot)
        let isOnly = node.pointee.next == node.pointee.previous
        node.pointee.previous!.pointee.next = node.pointee.next
        node.pointee.next!.pointee.previous = node.pointee.previous
        node.pointee.next = nil
        node.pointee.previous = nil
        node.pointee.slot = TimerNode.idle
        state.pointee.onLevel[slot >> Self.bits] -= 1
        if isOnly && slot < Self.slots { state.pointee.near[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
    }

    /// At a level's boundary its next slot is dealt out again to the levels below.
    private func cascade() {
        var level = 1
        while level < Self.levels && tick & ((1 << UInt64(level * Self.bits)) - 1) == 0 {
            let head = heads + level * Self.slots + Int((tick >> UInt64(level * Self.bits)) & 255)
            var node = head.pointee.next!
            head.pointee.next = head
            head.pointee.previous = head
            while node != head {
                let following = node.pointee.next!
                state.pointee.onLevel[level] -= 1
                // Due exactly now: the current slot, which advance() is about to empty.
                if due(node) <= tick { link(node, level: 0, slot: Int(tick & 255)) } else { place(node) }
                node = following
            }
            level += 1
        }
    }
}
