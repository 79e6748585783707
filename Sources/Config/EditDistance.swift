// SPDX-License-Identifier: Apache-2.0

/// Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other.
func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.utf8)
    let b = Array(b.utf8)
    var beforePrevious = [Int](repeating: 0, count: b.count + 1)
    var previous = Array(0...b.count)
    for i in 0..<a.count {
        var current = [i + 1] + [Int](repeating: 0, count: b.count)
        for j in 0..<b.count {
            let cost = a[i] == b[j] ? 0 : 1
            current[j + 1] = min(previous[j] + cost, previous[j + 1] + 1, current[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                current[j + 1] = min(current[j + 1], beforePrevious[j - 1] + 1)
            }
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[b.count]
}

/// The candidate that `text` most probably meant, or nil when none is near.
func nearest(to text: String, in candidates: some Sequence<String>) -> String? {
    var best: (word: String, distance: Int)?
    for word in candidates {
        let distance = editDistance(text.lowercased(), word.lowercased())
        if distance < best?.distance ?? Int.max { best = (word, distance) }
    }
    guard let best, best.distance <= max(2, text.utf8.count / 4), best.distance < text.utf8.count else { return nil }
    return best.word
}
