// SPDX-License-Identifier: Apache-2.0
import CReactor
import Sessions
import Topics
import Synchronization

/// What a ban names.
public enum BanKind: String, Sendable, CaseIterable { case clientid, username, ipaddr }

/// One entry of the banned list.
public struct Ban: Sendable {
    public var kind: BanKind
    public var who: String
    /// Unix milliseconds; nil: for ever.
    public var until: Int64?
    public var reason: String
    public var by: String

    public init(kind: BanKind, who: String, until: Int64?, reason: String, by: String) {
        self.kind = kind
        self.who = who
        self.until = until
        self.reason = reason
        self.by = by
    }
}

/// Clients that may not come in, with an end to it. Empty nearly always, and then one atomic load.
final class BanList: Sendable {
    private let entries = Mutex<[String: Ban]>([:])
    private nonisolated(unsafe) let count: UnsafeMutablePointer<UInt64>

    init() {
        count = .allocate(capacity: 1)
        count.initialize(to: 0)
    }

    var isEmpty: Bool { cr_load_relaxed_u64(count) == 0 }

    func add(_ ban: Ban) {
        entries.withLock {
            $0["\(ban.kind.rawValue):\(ban.who)"] = ban
            cr_store_u64(count, UInt64($0.count))
        }
    }

    func remove(_ kind: BanKind, _ who: String) -> Bool {
        entries.withLock {
            let found = $0.removeValue(forKey: "\(kind.rawValue):\(who)") != nil
            cr_store_u64(count, UInt64($0.count))
            return found
        }
    }

    func contains(_ kind: BanKind, _ who: String, now: Int64) -> Bool {
        entries.withLock {
            let key = "\(kind.rawValue):\(who)"
            guard let ban = $0[key] else { return false }
            if let until = ban.until, until <= now {
                $0[key] = nil
                cr_store_u64(count, UInt64($0.count))
                return false
            }
            return true
        }
    }

    func all(now: Int64) -> [Ban] {
        entries.withLock { $0.values.filter { $0.until.map { $0 > now } ?? true } }
    }
}

extension Broker {
    func isBanned(clientID: Bytes, username: Bytes, peer: PeerAddress) -> Bool {
        guard !bans.isEmpty else { return false }
        let now = cr_unix_ms()
        let address = withPeerText(peer) { text -> String in
            let s = String(decoding: text, as: UTF8.self)
            let host = s[..<s.lastIndex(of: ":")!]
            return host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host)
        }
        return bans.contains(.ipaddr, address, now: now)
            || clientID.count > 0 && bans.contains(.clientid, String(decoding: clientID, as: UTF8.self), now: now)
            || username.count > 0 && bans.contains(.username, String(decoding: username, as: UTF8.self), now: now)
    }

    public func ban(_ ban: Ban) { bans.add(ban) }
    public func unban(_ kind: BanKind, _ who: String) -> Bool { bans.remove(kind, who) }
    public func banned() -> [Ban] { bans.all(now: cr_unix_ms()) }
}
