// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Topics

/// Routes of publishers whose topics differ from message to message, one for all topics of a pattern: neither is such a
/// topic looked up nor is a route of its own kept for it. One place for each publisher, by its handle; another
/// one with the same place takes it. What is here says itself which topics it is right for, so nothing depends on that.
struct RoutePatterns: ~Copyable {
    /// A cache line.
    private struct Entry {
        var publisher: UInt64 = 0
        /// Of what the last match for this publisher looked at.
        var key: UInt64 = 0
        var route: RouteRef?
        var pattern = TopicPattern()
        /// Topics one after the other that the pattern did not cover.
        var misses: UInt8 = 0
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let mostBytes: Int
    /// Of the routes that are kept.
    private(set) var bytes = 0
    private static let bits: UInt64 = 12
    private static let capacity = 1 << Int(bits)
    /// So many topics one after the other that are not covered, and the pattern is not looked at any more.
    private static let patience: UInt8 = 8

    /// - Parameter mostBytes: that all routes may take. One more, and all of them are forgotten.
    init(mostBytes: Int = 16 << 20) {
        self.mostBytes = mostBytes
        let bytes = Self.capacity * MemoryLayout<Entry>.stride
        // Untouched memory costs nothing, and all zero is an empty entry.
        entries = UnsafeMutableRawPointer(calloc(bytes + 64, 1)!).alignedUp(toMultipleOf: 64)
            .bindMemory(to: Entry.self, capacity: Self.capacity)
    }

    @inline(__always)
    private func entry(_ publisher: UInt64) -> UnsafeMutablePointer<Entry> {
        entries + Int(truncatingIfNeeded: (publisher &* 0x9E37_79B9_7F4A_7C15) >> (64 - Self.bits))
    }

    @inline(__always)
    func prefetch(_ publisher: UInt64) { cr_prefetch(entry(publisher)) }

    /// Whether the last topics of the publisher were found here.
    @inline(__always)
    func isTrusted(_ publisher: UInt64) -> Bool {
        let entry = entry(publisher)
        return entry.pointee.publisher == publisher && entry.pointee.route != nil && entry.pointee.misses == 0
    }

    /// - Parameter epoch: of all subscriptions, see `FilterTable.all`.
    @inline(__always)
    func find(_ publisher: UInt64, _ topic: Bytes, epoch: UInt64) -> RouteRef? {
        let entry = entry(publisher)
        guard entry.pointee.publisher == publisher, let r = entry.pointee.route, entry.pointee.misses < Self.patience
        else { return nil }
        guard r.pointee.epoch == epoch, entry.pointee.pattern.covers(topic, like: r.topic) else {
            entry.pointee.misses += 1
            return nil
        }
        entry.pointee.misses = 0
        return r
    }

    /// Whether a route should be kept for topics like the one matched last: the one before was of the same kind.
    mutating func isWorthKeeping(_ publisher: UInt64, _ key: UInt64) -> Bool {
        let entry = entry(publisher)
        if entry.pointee.publisher == publisher, entry.pointee.key == key { return true }
        if entry.pointee.publisher != publisher {
            discard(entry.pointee.route)
            entry.pointee = Entry(publisher: publisher)
        }
        entry.pointee.key = key
        return false
    }

    /// After `isWorthKeeping`. Owns the route from here on.
    mutating func insert(_ publisher: UInt64, _ pattern: TopicPattern, _ route: RouteRef) {
        let entry = entry(publisher)
        discard(entry.pointee.route)
        entry.pointee.route = nil
        if bytes + Int(route.pointee.bytes) > mostBytes { clear() }
        bytes += Int(route.pointee.bytes)
        entry.pointee.publisher = publisher
        entry.pointee.route = route
        entry.pointee.pattern = pattern
        entry.pointee.misses = 0
    }

    /// Routes that are still needed are there again after two messages.
    mutating func clear() {
        for i in 0..<Self.capacity where entries[i].publisher != 0 {
            discard(entries[i].route)
            entries[i] = Entry()
        }
    }

    private mutating func discard(_ route: RouteRef?) {
        guard let route else { return }
        bytes -= Int(route.pointee.bytes)
        free(route)
    }
}
