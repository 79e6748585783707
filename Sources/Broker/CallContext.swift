// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Sessions

/// What `event.ctx` and `request.ctx` point to: the host's view of the call a plugin is in. Lives on the stack of the
/// chain runner.
struct CallContext {
    enum Kind: UInt8 { case hook, auth, acl }
    var kind: Kind
    var isDeferrable: Bool
    var shard: Unmanaged<Shard>
    var connection: ConnectionRef?
    /// Of the entry being called.
    var owner: UInt32
    /// Made by `defer` during this call; 0: none.
    var deferral: UInt64
    /// `ACLEpochs` before the ACL modules were asked.
    var aclEpoch: UInt32 = 0
    /// The ACL module said that its answer does not depend on the topic.
    var isForAnyTopic = false
    /// Where `set_topic` puts its copies; nil outside subscribe hooks.
    var topics: UnsafeMutablePointer<[[UInt8]]>?
}

extension Shard {
    /// Calls one entry of a chain, counting and, one call in 64, timing it.
    @inline(__always)
    func measured<F>(_ entry: UnsafeMutablePointer<ChainEntry<F>>, _ body: () -> Int32) -> Int32 {
        let cost = entry.pointee.cost + number
        cost.pointee.calls &+= 1
        cr_store_relaxed_u64(
            runningCell, UInt64(entry.pointee.owner) << 40 | (cost.pointee.calls & 0xFF_FFFF_FFFF) | 1 << 63)
        defer { cr_store_relaxed_u64(runningCell, 0) }
        stir()
        guard cost.pointee.calls & 63 == 1 else { return body() }
        let start = cr_clock_ns()
        let result = body()
        let spent = cr_clock_ns() - start
        cost.pointee.sampled &+= 1
        cost.pointee.sumNS &+= spent
        cost.pointee.maxNS = max(cost.pointee.maxNS, spent)
        let bucket = min(21, max(0, 60 - spent.leadingZeroBitCount))
        cost.pointee.histogram[bucket] &+= 1
        return result
    }
}
