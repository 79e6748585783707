// SPDX-License-Identifier: Apache-2.0

/// Scheme, host and port: what shares connections. Holds the requests that wait for one of them.
final class Origin {
    let name: String
    /// Requests that may be under way at once; more over HTTP/2, where they share a connection.
    var limit: Int
    private(set) var running = 0
    private var waiting: [Exchange] = []
    private var head = 0

    init(_ name: String, limit: Int) {
        self.name = name
        self.limit = limit
    }

    var isIdle: Bool { running == 0 && head == waiting.count }

    func begin() { running += 1 }
    func end() { running -= 1 }
    func wait(_ exchange: Exchange) { waiting.append(exchange) }

    /// The longest waiting, if there is room for it.
    func next() -> Exchange? {
        guard running < limit, head < waiting.count else { return nil }
        defer {
            head += 1
            if head == waiting.count || head >= 512 {
                waiting.removeFirst(head)
                head = 0
            }
        }
        return waiting[head]
    }

    /// Of one that was cancelled or is out of time.
    func remove(_ exchange: Exchange) {
        guard let index = waiting[head...].firstIndex(where: { $0 === exchange }) else { return }
        waiting.remove(at: index)
    }

    // MARK: - Names

    /// "http://" or "https://" as written; nil: another scheme.
    static func scheme(of url: some Collection<UInt8>) -> String? {
        for scheme in ["http://", "https://"] where starts(url, with: scheme) { return scheme }
        return nil
    }

    /// "https://example.org:8443" of a URL; user name and password are not part of it.
    static func name(of url: String) -> String {
        guard let scheme = scheme(of: url.utf8) else { return "" }
        let rest = url.utf8.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { !"/?#".utf8.contains($0) }
        let place = authority.lastIndex(of: UInt8(ascii: "@")).map { authority[authority.index(after: $0)...] }
        return scheme + String(decoding: place ?? authority, as: UTF8.self).lowercased()
    }

    private static func starts(_ url: some Collection<UInt8>, with scheme: String) -> Bool {
        url.count >= scheme.utf8.count
            && zip(url, scheme.utf8).allSatisfy { byte, wanted in
                byte == wanted || (0x41...0x5A).contains(byte) && byte | 0x20 == wanted
            }
    }
}
