// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import Sessions
import Synchronization

/// Answers that plugins owe. A slot is open, then answered exactly once by whoever wins its compare-and-swap: the
/// plugin, the timeout, or the unloading of the plugin. All others see MARTLET_E_STALE.
final class Deferrals: @unchecked Sendable {
    struct Slot {
        /// generation << 3 | kind << 1 | open: all that may be looked at by who has not won the slot.
        var state: UInt64
        var shard: Int32
        var owner: UInt32
        var connection: UInt64
        var kind: CallContext.Kind
    }

    private struct Free {
        var slots: [UInt32] = []
        var made: UInt32 = 0
    }

    private let free = Mutex(Free())
    private let slots: UnsafeMutablePointer<Slot>
    static let capacity = 1 << 16

    init() {
        // Zeroed means never opened; pages that are not used cost nothing.
        slots = calloc(Self.capacity, MemoryLayout<Slot>.stride)!.bindMemory(to: Slot.self, capacity: Self.capacity)
    }

    deinit { Glibc.free(slots) }

    /// 0 when 65,536 answers are owed already.
    func open(
        shard: Int32, owner: UInt32, connection: UInt64, kind: CallContext.Kind
    ) -> UInt64 {
        let index: UInt32? = free.withLock { free in
            if let i = free.slots.popLast() { return i }
            guard free.made < Self.capacity else { return nil }
            free.made += 1
            return free.made - 1
        }
        guard let index else { return 0 }
        let slot = slots + Int(index)
        let generation = (cr_load_relaxed_u64(&slot.pointee.state) >> 3) + 1
        slot.pointee.shard = shard
        cr_store_relaxed_u32(&slot.pointee.owner, owner)
        slot.pointee.connection = connection
        slot.pointee.kind = kind
        cr_store_u64(&slot.pointee.state, generation << 3 | UInt64(kind.rawValue) << 1 | 1)
        return Self.id(generation, Int(index))
    }

    private static func id(_ generation: UInt64, _ index: Int) -> UInt64 {
        (generation & 0xFFFF_FFFF) << 32 | UInt64(index) + 1
    }

    /// The slot if this call is the one that answers it.
    func take(_ id: UInt64, kind: CallContext.Kind? = nil) -> Slot? {
        let index = Int(id & 0xFFFF_FFFF) - 1
        guard index >= 0, index < Self.capacity else { return nil }
        let slot = slots + index
        var expected = cr_load_u64(&slot.pointee.state)
        guard expected & 1 == 1, Self.id(expected >> 3, index) == id else { return nil }
        if let kind, UInt64(kind.rawValue) != expected >> 1 & 3 { return nil }
        guard cr_cas_u64(&slot.pointee.state, &expected, expected & ~1) else { return nil }
        // Ours until it is free again: only now may the rest be read, but for the state, which others still try.
        let copy = Slot(
            state: expected, shard: slot.pointee.shard, owner: slot.pointee.owner,
            connection: slot.pointee.connection, kind: slot.pointee.kind)
        free.withLock { $0.slots.append(UInt32(index)) }
        return copy
    }

    func abandon(_ id: UInt64) { _ = take(id) }

    /// A snapshot: what it lists may be taken meanwhile.
    func open(of owner: UInt32) -> [UInt64] {
        let count = free.withLock { $0.made }
        var ids: [UInt64] = []
        for i in 0..<Int(count) {
            let state = cr_load_u64(&slots[i].state)
            if state & 1 == 1, cr_load_relaxed_u32(&slots[i].owner) == owner { ids.append(Self.id(state >> 3, i)) }
        }
        return ids
    }
}

extension Shard {
    /// From inside a plugin's call: the answer will follow.
    func makeDeferral(_ context: UnsafeMutablePointer<CallContext>, timeoutMS: UInt32) -> UInt64 {
        guard context.pointee.isDeferrable, let c = context.pointee.connection, context.pointee.deferral == 0
        else { return 0 }
        let bound = context.pointee.kind == .hook ? broker.settings.hookDeferTimeout : broker.settings.authDeferTimeout
        let id = broker.deferrals.open(
            shard: index, owner: context.pointee.owner, connection: handle(c),
            kind: context.pointee.kind)
        guard id != 0 else { return 0 }
        context.pointee.deferral = id
        let timeout = UInt64(timeoutMS == 0 ? bound : min(timeoutMS, bound))
        deferralTimer = after(timeout) { [unowned self] in
            guard let slot = broker.deferrals.take(id) else { return }
            counters.count(slot.kind == .hook ? .hookTimeouts : .authTimeouts)
            answered(id, slot, .defaulted(slot.kind), byDefault: true)
        }
        return id
    }

    /// The call that announced an answer gave one itself: nobody waits for another.
    @inline(__always)
    func dropDeferral(_ context: UnsafeMutablePointer<CallContext>) {
        if context.pointee.deferral != 0 { forgetDeferral(context) }
    }

    @inline(never)
    private func forgetDeferral(_ context: UnsafeMutablePointer<CallContext>) {
        broker.deferrals.abandon(context.pointee.deferral)
        cancel(timer: deferralTimer)
        context.pointee.deferral = 0
    }
}
