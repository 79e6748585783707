// SPDX-License-Identifier: Apache-2.0
import Broker
import PluginHost
import Reactor

/// Keeps the banned list in the store, so that it outlives the broker. One pair for each ban:
/// `clientid:who` → `UNTIL\nBY\nREASON`, UNTIL in Unix milliseconds or `never`.
final class Bans: BanKeeper {
    private let table: StoreTable
    private let broker: Broker

    init(_ host: PluginHost, _ broker: Broker) {
        table = host.table("banned")
        self.broker = broker
    }

    /// [main] Reads the list, and looks after it from now on.
    func start(on loop: EventLoop, _ log: Log) {
        do {
            let pairs = try table.all()
            let bans = pairs.compactMap { Self.ban($0) }
            let over = Set(broker.restore(bans).map { Self.key($0) })
            let known = Set(bans.map { Self.key($0) })
            let gone = pairs.map(\.key).filter { over.contains($0) || !known.contains($0) }
            if !gone.isEmpty { try table.change(remove: gone) }
        } catch {
            log.write(.error, "The banned list could not be read: \(error.sentence)")
        }
        broker.banKeeper = self
        _ = loop.after(1000, every: 1000) { [broker] in broker.tendBans() }
    }

    func keep(_ bans: [Ban], forgetting over: [Ban]) throws(BanFailure) {
        do {
            try table.change(remove: over.map { Self.key($0) }, put: bans.map { (Self.key($0), Self.value($0)) })
        } catch {
            throw BanFailure(error.sentence)
        }
    }

    // MARK: - As bytes

    private static func key(_ ban: Ban) -> [UInt8] { Array("\(ban.kind.rawValue):\(ban.who)".utf8) }

    private static func value(_ ban: Ban) -> [UInt8] {
        Array("\(ban.until.map { "\($0)" } ?? "never")\n\(ban.by)\n\(ban.reason)".utf8)
    }

    /// nil for what no version of this code wrote.
    private static func ban(_ pair: StoreTable.Pair) -> Ban? {
        let key = String(decoding: pair.key, as: UTF8.self)
        let value = String(decoding: pair.value, as: UTF8.self)
        let parts = value.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        guard let colon = key.firstIndex(of: ":"), let kind = BanKind(rawValue: String(key[..<colon])),
            parts.count == 3, parts[0] == "never" || Int64(parts[0]) != nil
        else { return nil }
        return Ban(
            kind: kind, who: String(key[key.index(after: colon)...]), until: Int64(parts[0]), reason: String(parts[2]),
            by: String(parts[1]))
    }
}
