// SPDX-License-Identifier: Apache-2.0

/// A growable list that owns its memory alone, so reading and changing it counts no references: Swift's arrays retain
/// and release their storage several times for each message that passes through one.
struct PlainList<Element: BitwiseCopyable>: ~Copyable {
    /// Valid until the list next changes.
    private(set) var start: UnsafeMutablePointer<Element>?
    private(set) var count = 0
    private var room = 0

    deinit { start?.deallocate() }

    @inline(__always)
    subscript(index: Int) -> Element {
        get {
            assert(index >= 0 && index < count)
            return start.unsafelyUnwrapped[index]
        }
        nonmutating set {
            assert(index >= 0 && index < count)
            start.unsafelyUnwrapped[index] = newValue
        }
    }

    @inline(__always)
    func at(_ index: Int) -> UnsafeMutablePointer<Element> {
        assert(index >= 0 && index < count)
        return start.unsafelyUnwrapped + index
    }

    var all: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: start, count: count) }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == room { resize(to: max(4, room * 2)) }
        (start.unsafelyUnwrapped + count).initialize(to: element)
        count += 1
    }

    mutating func removeLast(_ n: Int) { count -= n }

    /// Keeps the memory.
    @inline(__always)
    mutating func removeAll() { count = 0 }

    /// Gives memory back that is three quarters empty.
    mutating func shrink() {
        if room > 64, count * 4 < room { resize(to: count) }
    }

    @inline(never)
    private mutating func resize(to wanted: Int) {
        guard wanted > 0 else {
            start?.deallocate()
            (start, room) = (nil, 0)
            return
        }
        start = moved(start, count, toRoomOf: wanted)
        room = wanted
    }
}

/// Gives the first `count` elements another place, with room for `room` of them, and frees the old one.
func moved<T: BitwiseCopyable>(
    _ old: UnsafeMutablePointer<T>?, _ count: Int, toRoomOf room: Int
) -> UnsafeMutablePointer<T> {
    let place = UnsafeMutablePointer<T>.allocate(capacity: room)
    if let old {
        place.moveInitialize(from: old, count: count)
        old.deallocate()
    }
    return place
}
