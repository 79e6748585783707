// SPDX-License-Identifier: Apache-2.0
/// A closure the host holds a pointer to. All of a plugin's boxes hang in one list, so that destroy() frees even those
/// whose registration the plugin forgot.
class Box {
    let tables: Tables
    /// The host's name for what calls it; 0: none.
    fileprivate(set) var registered: martlet_token = 0
    var next: Unmanaged<Box>?
    var previous: Unmanaged<Box>?

    init(_ tables: Tables) { self.tables = tables }

    /// [main] Hands the list one reference and returns the pointer the host will pass back.
    func keep() -> UnsafeMutableRawPointer {
        let me = Unmanaged.passRetained(self)
        next = tables.pointee.boxes
        next?._withUnsafeGuaranteedRef { $0.previous = me }
        tables.pointee.boxes = me
        return me.toOpaque()
    }
    /// [main] Takes the list's reference back. The host must not hold the pointer any more.
    func drop() {
        let me = Unmanaged.passUnretained(self)
        if let previous {
            previous._withUnsafeGuaranteedRef { $0.next = next }
        } else {
            tables.pointee.boxes = next
        }
        next?._withUnsafeGuaranteedRef { $0.previous = previous }
        next = nil
        previous = nil
        me.release()
    }
    /// [main] The one that was registered as `token`, unless it is gone.
    static func drop(_ token: martlet_token, _ tables: Tables) {
        var at = tables.pointee.boxes
        while let box = at?.takeUnretainedValue() {
            if box.registered == token { return box.drop() }
            at = box.next
        }
    }
    static func dropAll(_ tables: Tables) {
        while let first = tables.pointee.boxes { first.takeUnretainedValue().drop() }
    }
    /// Calls `body` with the box behind a pointer of keep(), without touching its reference count.
    @inline(__always) static func use<B: Box, R>(_ user: UnsafeMutableRawPointer?, _ body: (B) -> R) -> R {
        Unmanaged<B>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(body)
    }
}

/// One registration: a hook, a timer, a subscription, a command. The host revokes all of them when the plugin stops;
/// keep this only to end one earlier.
public struct Registration {
    public let token: martlet_token

    /// Registers `box` through `add`, which gets the user pointer and the place for the token.
    static func make(
        _ box: Box, _ add: (UnsafeMutableRawPointer, UnsafeMutablePointer<martlet_token>) -> martlet_status
    ) throws(PluginError) -> Registration {
        var token: martlet_token = 0
        let status = Status(add(box.keep(), &token))
        if status != .ok {
            box.drop()
            throw PluginError(status, sentence: nil)
        }
        box.registered = token
        return Registration(token: token)
    }
    /// [any] The host calls it no more. It is freed in a turn of its own: what asks for it may be its own call.
    func end(_ tables: Tables) {
        let token = token
        Exec(tables: tables).onMain { Box.drop(token, tables) }
    }
}
