// SPDX-License-Identifier: Apache-2.0
import Broker
import Synchronization

/// Failed authentications by address: who fails ten times within a minute is not heard until that minute is over.
/// Bounded: the table holds so many addresses, the oldest makes room. Time is a parameter, in ms.
final class FailureTable: Sendable {
    static let limit = 10
    static let window: UInt64 = 60_000

    private struct Entry {
        var begun: UInt64
        var count: Int
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var total = 0
        var refused = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int = 4096) { self.capacity = capacity }

    /// Failures in all, and requests not heard because of them.
    var totals: (failures: Int, refusals: Int) { state.withLock { ($0.total, $0.refused) } }

    /// 0: it may try. Otherwise seconds until it may.
    func wait(_ address: String, now: UInt64) -> Int {
        state.withLock { state in
            guard let entry = state.entries[address], entry.count >= Self.limit, now < entry.begun + Self.window else {
                return 0
            }
            state.refused += 1
            return Int((entry.begun + Self.window - now + 999) / 1000)
        }
    }

    func failed(_ address: String, now: UInt64) {
        state.withLock { state in
            state.total += 1
            if var entry = state.entries[address], now < entry.begun + Self.window {
                entry.count += 1
                state.entries[address] = entry
                return
            }
            if state.entries.count >= capacity, state.entries[address] == nil { makeRoom(&state.entries, now) }
            state.entries[address] = Entry(begun: now, count: 1)
        }
    }

    func succeeded(_ address: String) { state.withLock { _ = $0.entries.removeValue(forKey: address) } }

    private func makeRoom(_ entries: inout [String: Entry], _ now: UInt64) {
        entries = entries.filter { now < $0.value.begun + Self.window }
        guard entries.count >= capacity, let oldest = entries.min(by: { $0.value.begun < $1.value.begun }) else {
            return
        }
        entries[oldest.key] = nil
    }
}

extension PeerAddress {
    /// What failures are counted under: an IPv4 address, or the /64 network of an IPv6 one.
    var failureKey: String {
        (0..<(isIPv6 ? 8 : 4)).map { String(address[$0], radix: 16) }.joined(separator: isIPv6 ? ":" : ".")
    }
}
