// SPDX-License-Identifier: Apache-2.0
import CCrypto
import PluginKit

/// Who proved a password lately, so that a storm of reconnects does not pay for the slow hash again.
///
/// It holds no password: an entry is HMAC-SHA256 under a key made at load and kept nowhere else, over user name,
/// password *and* stored hash. A changed password changes the stored hash, so its old entries never match again and
/// nothing needs to be thrown out. The size is fixed: four places a bucket, the one that expires first gives way.
final class VerifiedCache {
    private struct Entry {
        var proof: SIMD4<UInt64>
        var expires: Int64
    }
    private static var ways: Int { 4 }

    private let key: [UInt8]
    private let ttl: Int64
    private let buckets: Int
    private let entries: UnsafeMutablePointer<Entry>
    private let lock = RWLock()

    /// size: entries, 0 switches it off; ttl: milliseconds. nil when the system has no randomness to give.
    init?(size: Int, ttl: Int) {
        guard let key = randomBytes(32) else { return nil }
        self.key = key
        self.ttl = Int64(ttl)
        buckets = (size + Self.ways - 1) / Self.ways
        entries = .allocate(capacity: buckets * Self.ways)
        entries.initialize(repeating: Entry(proof: SIMD4(repeating: 0), expires: 0), count: buckets * Self.ways)
    }
    deinit { entries.deallocate() }

    /// [any] What stands for this user with this password; nil when the cache is off.
    func proof(_ username: Bytes, _ password: Bytes, _ stored: PasswordHash) -> SIMD4<UInt64>? {
        guard buckets > 0 else { return nil }
        // Lengths first: "ab"+"c" must not stand for "a"+"bc".
        var input: [UInt8] = []
        input.reserveCapacity(16 + username.count + password.count + stored.hash.count)
        defer { wipe(&input) }
        for count in [username.count, password.count] {
            for shift in stride(from: 0, to: 64, by: 8) { input.append(UInt8(truncatingIfNeeded: count >> shift)) }
        }
        input.append(contentsOf: username.buffer)
        input.append(contentsOf: password.buffer)
        input.append(contentsOf: stored.hash)
        // One round of PBKDF2 is HMAC(key, input || 00000001), from the one function this plugin uses anyway.
        let mac = key.withBytes { pbkdf2($0, salt: input, iterations: 1) }
        guard let mac else { return nil }
        return mac.withUnsafeBytes { $0.loadUnaligned(as: SIMD4<UInt64>.self) }
    }
    /// [any]
    func knows(_ proof: SIMD4<UInt64>) -> Bool {
        let now = Clock.monotonic
        let bucket = self.bucket(proof)
        return lock.read {
            for way in 0..<Self.ways where bucket[way].expires > now && bucket[way].proof == proof { return true }
            return false
        }
    }
    /// [any]
    func learn(_ proof: SIMD4<UInt64>) {
        let bucket = self.bucket(proof)
        let expires = Clock.monotonic + ttl
        lock.write {
            var place = 0
            for way in 0..<Self.ways {
                if bucket[way].proof == proof {
                    place = way
                    break
                }
                if bucket[way].expires < bucket[place].expires { place = way }
            }
            bucket[place] = Entry(proof: proof, expires: expires)
        }
    }
    private func bucket(_ proof: SIMD4<UInt64>) -> UnsafeMutablePointer<Entry> {
        entries + Int(proof.x % UInt64(buckets)) * Self.ways
    }
}
