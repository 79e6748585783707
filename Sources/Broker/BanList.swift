// SPDX-License-Identifier: Apache-2.0
import CReactor
import Sessions
import Synchronization
import Topics

/// What a ban names.
public enum BanKind: String, Sendable, CaseIterable { case clientid, username, ipaddr }

/// One entry of the banned list.
public struct Ban: Sendable, Equatable {
    public var kind: BanKind
    /// A client id, a user name, or an address or network ("10.0.0.0/8").
    public var who: String
    /// Unix milliseconds; nil: for ever.
    public var until: Int64?
    public var reason: String
    public var by: String

    /// Bytes of `who`, and of `reason`.
    public static let longestText = 1024

    public init(kind: BanKind, who: String, until: Int64?, reason: String, by: String) {
        self.kind = kind
        self.who = who
        self.until = until
        self.reason = reason
        self.by = by
    }

    func isOver(at now: Int64) -> Bool { until.map { $0 <= now } ?? false }
}

/// Why a ban could not be made or lifted, in one sentence.
public struct BanFailure: Error, Sendable {
    public let sentence: String
    public init(_ sentence: String) { self.sentence = sentence }
}

/// Clients that may not come in. Empty nearly always, and then one atomic load a CONNECT.
final class BanList: Sendable {
    static let limit = 100_000

    enum Key: Hashable, Sendable {
        case clientID(String)
        case username(String)
        case network(BanNetwork)

        /// nil when `who` is no address although it should be one.
        init?(_ kind: BanKind, _ who: String) {
            switch kind {
            case .clientid: self = .clientID(who)
            case .username: self = .username(who)
            case .ipaddr:
                guard let network = BanNetwork(who) else { return nil }
                self = .network(network)
            }
        }
    }

    private struct State {
        var entries: [Key: Ban] = [:]
        /// How many networks there are of each prefix length, IPv4 in the first 33 places: those have to be looked up.
        var lengths = [Int](repeating: 0, count: 33 + 129)
        /// Made on a loop, where the store may not be waited for.
        var unsaved: Set<Key> = []

        static func place(_ network: BanNetwork) -> Int { network.isIPv4 ? network.length : 33 + network.length }

        mutating func put(_ key: Key, _ ban: Ban) {
            if entries.updateValue(ban, forKey: key) == nil, case .network(let n) = key { lengths[Self.place(n)] += 1 }
        }
        mutating func remove(_ key: Key) -> Ban? {
            unsaved.remove(key)
            let found = entries.removeValue(forKey: key)
            if found != nil, case .network(let n) = key { lengths[Self.place(n)] -= 1 }
            return found
        }
        func holds(_ key: Key, _ now: Int64) -> Bool { entries[key].map { !$0.isOver(at: now) } ?? false }
        func holds(_ address: BanNetwork, _ now: Int64) -> Bool {
            let first = address.isIPv4 ? 0 : 33
            for length in 0...address.length where lengths[first + length] > 0 {
                if holds(.network(address.prefix(length)), now) { return true }
            }
            return false
        }
    }

    private let state = Mutex(State())
    private nonisolated(unsafe) let count: UnsafeMutablePointer<UInt64>

    init() {
        count = .allocate(capacity: 1)
        count.initialize(to: 0)
    }

    deinit { count.deallocate() }

    var isEmpty: Bool { cr_load_relaxed_u64(count) == 0 }

    private func changed<R>(_ body: (inout State) -> R) -> R where R: Sendable {
        state.withLock { state in
            defer { cr_store_u64(count, UInt64(state.entries.count)) }
            return body(&state)
        }
    }

    /// Whether an entry of this key can be put in.
    func hasRoom(for key: Key) -> Bool {
        state.withLock { $0.entries[key] != nil || $0.entries.count < Self.limit }
    }

    /// False when the list is full.
    func add(_ key: Key, _ ban: Ban) -> Bool {
        changed { state in
            guard state.entries[key] != nil || state.entries.count < Self.limit else { return false }
            state.put(key, ban)
            state.unsaved.remove(key)
            return true
        }
    }

    /// What became of a ban made on a loop.
    enum Outcome { case added, known, full }

    /// To be saved by the control thread later. A ban that lasts longer stays as it is.
    func addUnsaved(_ key: Key, _ ban: Ban) -> Outcome {
        changed { state in
            if let old = state.entries[key], old.until == nil || old.until! >= ban.until ?? .max { return .known }
            guard state.entries[key] != nil || state.entries.count < Self.limit else { return .full }
            state.put(key, ban)
            state.unsaved.insert(key)
            return .added
        }
    }

    func find(_ key: Key) -> Ban? { state.withLock { $0.entries[key] } }
    func remove(_ key: Key) { changed { _ = $0.remove(key) } }

    /// At most `limit` bans that only memory knows.
    func takeUnsaved(_ limit: Int) -> [Ban] {
        state.withLock { state in
            guard !state.unsaved.isEmpty else { return [] }
            let keys = Array(state.unsaved.prefix(limit))
            state.unsaved.subtract(keys)
            return keys.compactMap { state.entries[$0] }
        }
    }

    /// Removes what is over. Loops wait only for the removal, not for the search.
    func removeExpired(_ now: Int64) -> [Ban] {
        guard !isEmpty else { return [] }
        let over = state.withLock { $0.entries }.filter { $0.value.isOver(at: now) }.map(\.key)
        guard !over.isEmpty else { return [] }
        return changed { state in
            over.compactMap { key in state.entries[key]?.isOver(at: now) == true ? state.remove(key) : nil }
        }
    }

    func contains(clientID: String, username: String, address: BanNetwork, now: Int64) -> Bool {
        state.withLock { state in
            state.holds(address, now) || !clientID.isEmpty && state.holds(.clientID(clientID), now)
                || !username.isEmpty && state.holds(.username(username), now)
        }
    }

    func all(_ now: Int64) -> [Ban] { state.withLock { $0.entries }.values.filter { !$0.isOver(at: now) } }
}

extension Broker {
    func isBanned(clientID: Bytes, username: Bytes, peer: PeerAddress) -> Bool {
        guard !bans.isEmpty else { return false }
        return bans.contains(
            clientID: String(decoding: clientID, as: UTF8.self), username: String(decoding: username, as: UTF8.self),
            address: BanNetwork(peer), now: cr_unix_ms())
    }
}
