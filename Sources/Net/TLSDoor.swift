// SPDX-License-Identifier: Apache-2.0
import CReactor
import Reactor
import Synchronization
import TLS

/// What the TLS connections of one listener share: the generation of certificates in force, and the accounts of their
/// handshakes.
final class TLSDoor: Sendable {
    private let options: TLSOptions
    private let name: String
    private let keys: TLSContext.KeyLookup?
    private let current = Mutex<TLSContext?>(nil)
    private let complaints = Mutex(ComplaintRate())
    /// Of each loop.
    private let handshakes: [Handshakes]

    init(_ tls: TLSOptions, _ listener: ListenerOptions, loops: Int, keys: TLSContext.KeyLookup?) {
        options = tls
        name = listener.name
        self.keys = keys
        let each = max(1, listener.maxHandshakes / max(1, loops))
        handshakes = (0..<loops).map { _ in Handshakes(limit: each) }
    }

    /// [main] Reads all files. The next handshake uses what they say; on a throw nothing changes.
    func load() throws(TLSError) {
        let context = try TLSContext(options, scope: name, keys: keys)
        current.withLock { $0 = context }
    }

    var context: TLSContext? { current.withLock { $0 } }

    /// [loop] Those of the loop this is called on.
    var ownHandshakes: Handshakes { handshakes[Int(cr_current_loop())] }

    /// Whether a complaint may be logged now, and how many were not since the last one that was; nil: not now.
    func mayComplain() -> Int? { complaints.withLock { $0.take(now: cr_clock_ms()) } }
}

/// At most so many lines in the log in ten seconds: who wants to can make handshakes fail by the thousand.
struct ComplaintRate: Sendable {
    static let perWindow = 10
    static let window: UInt64 = 10_000
    private var begun: UInt64 = 0
    private var told = 0
    private var untold = 0

    /// How many were left out before this one; nil: this one is left out too. `now` in ms.
    mutating func take(now: UInt64) -> Int? {
        if told == 0 || now >= begun + Self.window {
            begun = now
            told = 0
        }
        guard told < Self.perWindow else {
            untold += 1
            return nil
        }
        told += 1
        defer { untold = 0 }
        return untold
    }
}
