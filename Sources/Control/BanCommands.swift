// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import PluginHost

/// `banned`: the list of clients, users and addresses that may not come in.
extension Control {
    func registerBans(_ broker: Broker) {
        let usage = [
            CommandUsage("banned list", "List banned clients"),
            CommandUsage(
                "banned add clientid|username|ipaddr <Who> [<Seconds>] [<Reason>]",
                "Ban a client, a user, or an address or network"),
            CommandUsage("banned del clientid|username|ipaddr <Who>", "Lift a ban"),
        ]
        register("banned", usage) { call throws(CommandFailure) in
            let words = call.words
            switch words.first {
            case "list" where words.count == 1:
                for ban in broker.banned().sorted(by: { $0.who < $1.who }) { call.print(line(ban)) }
            case "add" where words.count >= 3:
                try add(broker, words)
                call.print("ok\n")
            case "del" where words.count == 3:
                try lift(broker, words)
                call.print("ok\n")
            default: throw .usage
            }
        }
    }
}

/// A hundred years, in seconds.
private let longestBan: Int64 = 3_155_760_000

private func add(_ broker: Broker, _ words: [String]) throws(CommandFailure) {
    guard let kind = BanKind(rawValue: words[1]) else { throw .usage }
    let seconds = words.count > 3 ? Int64(words[3]) : 0
    guard let seconds, (0...longestBan).contains(seconds) else {
        throw .sentence("\"\(words[3])\" is not a number of seconds from 0 to \(longestBan); 0 bans for ever.")
    }
    let until = seconds == 0 ? nil : cr_unix_ms() + seconds * 1000
    let reason = words.dropFirst(4).joined(separator: " ")
    do {
        try broker.ban(Ban(kind: kind, who: words[2], until: until, reason: reason, by: "ctl"))
    } catch {
        throw .sentence(error.sentence)
    }
}

private func lift(_ broker: Broker, _ words: [String]) throws(CommandFailure) {
    guard let kind = BanKind(rawValue: words[1]) else { throw .usage }
    let wasBanned: Bool
    do { wasBanned = try broker.unban(kind, words[2]) } catch { throw .sentence(error.sentence) }
    guard wasBanned else { throw notFound("ban of", words[2]) }
}

private func line(_ ban: Ban) -> String {
    let until = ban.until.map { "\($0 / 1000)" } ?? "never"
    return "Banned(\(ban.kind.rawValue)=\(ban.who), until=\(until), reason=\(ban.reason), by=\(ban.by))\n"
}
