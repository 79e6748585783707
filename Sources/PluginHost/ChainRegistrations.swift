// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import Glibc

/// The counters of one registration, one element per loop; they live through every rebuild of the chains.
final class CostCells {
    let cells: UnsafeMutablePointer<CallCost>
    let count: Int

    init(loops: Int) {
        count = max(1, loops)
        let bytes = count * MemoryLayout<CallCost>.stride
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        cells = raw.bindMemory(to: CallCost.self, capacity: count)
        cells.initialize(repeating: CallCost(), count: count)
    }

    deinit { cells.deallocate() }

    /// The loops' numbers together; they may be a call old.
    func sum() -> CallSummary {
        var all = CallSummary()
        for i in 0..<count { all.add(cells[i]) }
        return all
    }
}

/// What a registration has cost so far.
public struct CallSummary: Sendable, Equatable {
    public var calls: UInt64 = 0
    public var errors: UInt64 = 0
    public var sampled: UInt64 = 0
    public var maxNS: UInt64 = 0
    var sumNS: UInt64 = 0
    var histogram: [UInt64] = Array(repeating: 0, count: 22)

    mutating func add(_ cell: CallCost) {
        calls &+= cell.calls
        errors &+= cell.errors
        sampled &+= cell.sampled
        sumNS &+= cell.sumNS
        maxNS = max(maxNS, cell.maxNS)
        for i in 0..<22 { histogram[i] &+= UInt64(cell.histogram[i]) }
    }

    public var meanNS: UInt64 { sampled == 0 ? 0 : sumNS / sampled }

    /// The upper bound of the histogram's class in which this share of the sampled calls ends; 0 without a sample.
    public func percentileNS(_ share: Double) -> UInt64 {
        let total = histogram.reduce(0, &+)
        guard total > 0 else { return 0 }
        let rank = UInt64((Double(total) * share).rounded(.up))
        var seen: UInt64 = 0
        for (i, count) in histogram.enumerated() {
            seen += count
            if seen >= rank { return min(UInt64(16) << UInt64(i), max(maxNS, 1)) }
        }
        return maxNS
    }
}

/// One function in one chain.
struct ChainRegistration<Function> {
    let token: martlet_token
    let function: Function
    let user: UnsafeMutableRawPointer?
    let priority: Int32
    let filter: [UInt8]
    let retainOnly: Bool
    let cost: CostCells
}

/// All that one plugin put into chains, in the order it did.
struct ChainRegistrations {
    var hooks: [(hook: Int, entry: ChainRegistration<martlet_hook_fn>)] = []
    var auth: [ChainRegistration<martlet_auth_fn>] = []
    var acl: [ChainRegistration<martlet_acl_fn>] = []
    var psk: [ChainRegistration<martlet_psk_fn>] = []
    var deliver: [ChainRegistration<martlet_deliver_fn>] = []

    var count: Int { hooks.count + auth.count + acl.count + psk.count + deliver.count }

    /// False when none has this token.
    mutating func remove(_ token: martlet_token) -> Bool {
        let before = count
        hooks.removeAll { $0.entry.token == token }
        auth.removeAll { $0.token == token }
        acl.removeAll { $0.token == token }
        psk.removeAll { $0.token == token }
        deliver.removeAll { $0.token == token }
        return count < before
    }
}
