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

    /// Fires everything due at `now`, oldest slot first.
    public func advance(to now: UInt64, _ fire: (UnsafeMutablePointer<TimerNode>) -> Void) {
        let target = now / Self.resolution
        while tick < target {
            if armed == 0 {
                state.pointee.tick = target
                return
            }
            state.pointee.tick += 1
            cascade()
            let head = heads + Int(tick & 255)
            while let node = head.pointee.next, node != head {
                unlink(node)
                state.pointee.armed -= 1
                fire(node)
            }
        }
    }

    /// Milliseconds until the wheel wants to be advanced again; nil when nothing is armed. May be early, never late.
    public func untilNext(now: UInt64) -> UInt64? {
        guard armed > 0 else { return nil }
        for step in 1...UInt64(Self.slots) {
            let at = tick + step
            // A level boundary may bring timers down from above, so it is a reason to wake as well.
            if heads[Int(at & 255)].next != heads + Int(at & 255) || at & 255 == 0 {
                let due = at * Self.resolution
                return due > now ? due - now : 0
            }
        }
        return Self.resolution * UInt64(Self.slots)
    }

    private func place(_ node: UnsafeMutablePointer<TimerNode>) {
        // Rounded up: a timer never fires before its deadline.
        let due = max((node.pointee.deadline + Self.resolution - 1) / Self.resolution, tick + 1)
        let distance = due - tick
        var level = 0
        while level < Self.levels - 1 && distance >= 1 << UInt64((level + 1) * Self.bits) { level += 1 }
        let span = UInt64(1) << UInt64(Self.levels * Self.bits)
        let at = distance >= span ? tick + span - 1 : due
        let slot = level * Self.slots + Int((at >> UInt64(level * Self.bits)) & 255)
        let head = heads + slot
        let last = head.pointee.previous!
        node.pointee.slot = UInt16(slot)
        node.pointee.next = head
        node.pointee.previous = last
        last.pointee.next = node
        head.pointee.previous = node
    }

    private func unlink(_ node: UnsafeMutablePointer<TimerNode>) {
        node.pointee.previous!.pointee.next = node.pointee.next
        node.pointee.next!.pointee.previous = node.pointee.previous
        node.pointee.next = nil
        node.pointee.previous = nil
        node.pointee.slot = TimerNode.idle
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
                placeFromAbove(node)
                node = following
            }
            level += 1
        }
    }

    private func placeFromAbove(_ node: UnsafeMutablePointer<TimerNode>) {
        // Due exactly at this tick: level 0's current slot, which advance() is about to empty.
        if (node.pointee.deadline + Self.resolution - 1) / Self.resolution <= tick {
            let head = heads + Int(tick & 255)
            let last = head.pointee.previous!
            node.pointee.slot = UInt16(tick & 255)
            node.pointee.next = head
            node.pointee.previous = last
            last.pointee.next = node
            head.pointee.previous = node
        } else {
            place(node)
        }
    }
}
