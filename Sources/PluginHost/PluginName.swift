// SPDX-License-Identifier: Apache-2.0

/// The name a user typed without the prefixes EMQ gave it: `emqx_retainer`, `emq_retainer` and `emqttd_retainer` are
/// `retainer`.
public func canonicalPluginName(_ typed: String) -> String {
    for prefix in ["emqx_", "emq_", "emqttd_"] where typed.hasPrefix(prefix) && typed.utf8.count > prefix.utf8.count {
        return String(typed.dropFirst(prefix.count))
    }
    return typed
}

/// Letters, digits, `_` and `-`, at most 64: a name can be no path.
func isPluginName(_ name: String) -> Bool {
    guard (1...64).contains(name.utf8.count) else { return false }
    return name.utf8.allSatisfy {
        ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5F
            || $0 == 0x2D
    }
}

/// The candidate a misspelt name most probably means.
func nearestName(to name: String, among candidates: [String]) -> String? {
    let scored = candidates.map { ($0, editDistance(name, $0)) }
    guard let best = scored.min(by: { $0.1 < $1.1 }), best.1 <= max(2, name.utf8.count / 3) else { return nil }
    return best.0
}

private func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    var previous = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var current = [i + 1]
        for (j, y) in b.enumerated() {
            current.append(min(previous[j] + (x == y ? 0 : 1), previous[j + 1] + 1, current[j] + 1))
        }
        previous = current
    }
    return previous[b.count]
}
