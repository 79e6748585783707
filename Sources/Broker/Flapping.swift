// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Synchronization
import Topics

/// When a client id that comes and goes is banned: `flapping_detect.*`.
public struct FlappingSettings: Sendable {
    /// So many ends of a connection within the window are all right.
    public var maxCount: Int
    /// Milliseconds.
    public var window: UInt64
    /// Milliseconds.
    public var banTime: UInt64

    public init(maxCount: Int, window: UInt64, banTime: UInt64) {
        self.maxCount = max(1, maxCount)
        self.window = window
        self.banTime = banTime
    }
}

/// The last ends of the connections of the client ids that were here lately. Memory of fixed size: 8192 client ids in
/// sets of four, of which the one that has been quiet longest gives way. One table for all loops, because a client
/// without a session comes back on any of them; it is asked only when a connection ends.
final class Flapping: Sendable {
    static let sets = 2048
    private static let ways = 4

    private struct Entry {
        var hash: UInt64 = 0
        /// Of the last end, in milliseconds.
        var last: UInt64 = 0
        /// Ends remembered, and where the oldest of them is once `maxCount` are.
        var count: Int32 = 0
        var oldest: Int32 = 0
    }

    private struct Memory: @unchecked Sendable {
        let entries: UnsafeMutablePointer<Entry>
        /// `maxCount` times for each entry, a ring.
        let times: UnsafeMutablePointer<UInt64>
    }

    let settings: FlappingSettings
    private let memory: Mutex<Memory>

    init(_ settings: FlappingSettings) {
        self.settings = settings
        let count = Self.sets * Self.ways
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
        entries.initialize(repeating: Entry(), count: count)
        let times = UnsafeMutablePointer<UInt64>.allocate(capacity: count * settings.maxCount)
        times.initialize(repeating: 0, count: count * settings.maxCount)
        memory = Mutex(Memory(entries: entries, times: times))
    }

    deinit {
        memory.withLock {
            $0.entries.deallocate()
            $0.times.deallocate()
        }
    }

    /// Notes one end. True when it is one more than `maxCount` within the window; the count begins anew then.
    func note(_ hash: UInt64, now: UInt64) -> Bool {
        memory.withLock { memory in
            let first = Int(truncatingIfNeeded: hash >> 40) & (Self.sets - 1) * Self.ways
            let index = place(memory.entries, first, hash, now)
            let entry = memory.entries + index
            let times = memory.times + index * settings.maxCount
            let at = Int(entry.pointee.oldest)
            entry.pointee.last = now
            let isFull = Int(entry.pointee.count) == settings.maxCount
            // The clocks of the loops differ by a tick: the oldest end may be later than this one.
            if isFull, now <= times[at] + settings.window {
                entry.pointee.count = 0
                entry.pointee.oldest = 0
                return true
            }
            times[at] = now
            entry.pointee.oldest = Int32((at + 1) % settings.maxCount)
            if !isFull { entry.pointee.count += 1 }
            return false
        }
    }

    private func place(_ entries: UnsafeMutablePointer<Entry>, _ first: Int, _ hash: UInt64, _ now: UInt64) -> Int {
        var quietest = first
        for i in first..<first + Self.ways {
            if entries[i].hash == hash { return i }
            if entries[i].last < entries[quietest].last { quietest = i }
        }
        entries[quietest] = Entry(hash: hash, last: now)
        return quietest
    }
}

extension Shard {
    /// A connection of `s` has ended. What the broker ends of its own accord is not the client's doing.
    func noteEnd(_ s: SessionRef, _ reason: ReasonCode, _ flapping: Flapping) {
        guard s.pointee.zone.pointee.enableBan, reason != .serverShuttingDown, reason != .administrativeAction,
            (1...Ban.longestText).contains(s.pointee.clientID.count),
            flapping.note(Topics.hash(s.pointee.clientID, seed: table.seed), now: now)
        else { return }
        counters.count(.clientsFlapping)
        broker.banFlapping(String(decoding: s.pointee.clientID, as: UTF8.self), flapping.settings)
    }
}

extension Broker {
    fileprivate func banFlapping(_ id: String, _ settings: FlappingSettings) {
        let ban = Ban(
            kind: .clientid, who: id, until: cr_unix_ms() + Int64(settings.banTime), reason: "flapping",
            by: "flapping_detect")
        let shown = String(id.map { $0.isNewline || $0.isASCII && $0 < " " ? "?" : $0 })
        let what =
            "Client \(shown) disconnected more than \(settings.maxCount) times within \(settings.window / 1000) s"
        switch bans.addUnsaved(.clientID(id), ban) {
        case .known: break
        case .full:
            events.log(Int32(MARTLET_LOG_ERROR), "\(what), but cannot be banned. \(Self.full.sentence)")
        case .added:
            events.log(Int32(MARTLET_LOG_WARNING), "\(what): it is banned for \(settings.banTime / 1000) s.")
            // The connection that ended may have been taken over by one that is coming in just now.
            enforce(ban, .clientID(id))
        }
    }
}
