// SPDX-License-Identifier: Apache-2.0

/// Owns a connection in place of its loop's subclass: what arrives on it, and what becomes of it, is told to this
/// object. Everything on the connection's loop. A transport keeps its owner alive until it is gone.
///
/// The loop asks one bit of the transport for it, so the connections of the subclass pay nothing.
open class TransportOwner: @unchecked Sendable {
    public init() {}

    /// As `EventLoop.received`.
    open func received(_ transport: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int { bytes.count }
    /// As `EventLoop.closed`.
    open func closed(_ transport: TransportRef, _ reason: CloseReason) {}
    /// As `EventLoop.ready`.
    open func ready(_ transport: TransportRef) {}
    /// As `EventLoop.layersFailed`.
    open func layersFailed(_ transport: TransportRef, _ reason: StaticString) {}
    /// As `EventLoop.drained`.
    open func drained(_ transport: TransportRef) {}
    /// As `EventLoop.blocked`.
    open func blocked(_ transport: TransportRef) {}
}

extension EventLoop {
    /// Takes a connected, non-blocking socket over for `owner`.
    public func adopt(fd: Int32, layers: LayerStack? = nil, owner: TransportOwner) -> TransportRef? {
        guard let t = adopt(fd: fd) else { return nil }
        t.pointee.flags.insert(.owned)
        t.pointee.owner = Unmanaged.passRetained(owner).toOpaque()
        if let layers { attach(layers, to: t) }
        return t
    }

    /// Takes a transport out of its owner's hands: from here on it is the loop subclass's, whose `owner` the caller
    /// sets. Input that the old owner did not consume is presented again after this tick's other input.
    public func disown(_ t: TransportRef) {
        forgetOwner(t)
        t.pointee.flags.remove(.paused)
        queueAgain(t)
    }

    func forgetOwner(_ t: TransportRef) {
        guard t.pointee.flags.contains(.owned) else { return }
        t.pointee.flags.remove(.owned)
        let owner = t.pointee.owner
        t.pointee.owner = nil
        if let owner { Unmanaged<TransportOwner>.fromOpaque(owner).release() }
    }

    /// The owner of a transport that has one.
    @inline(__always)
    private func owner(_ t: TransportRef) -> TransportOwner? {
        guard t.pointee.flags.contains(.owned), let owner = t.pointee.owner else { return nil }
        return Unmanaged<TransportOwner>.fromOpaque(owner).takeUnretainedValue()
    }

    @inline(__always)
    func tellReceived(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        owner(t)?.received(t, bytes) ?? received(t, bytes)
    }

    func tellClosed(_ t: TransportRef, _ reason: CloseReason) {
        if let owner = owner(t) { owner.closed(t, reason) } else { closed(t, reason) }
    }

    func tellReady(_ t: TransportRef) {
        if let owner = owner(t) { owner.ready(t) } else { ready(t) }
    }

    func tellLayersFailed(_ t: TransportRef, _ reason: StaticString) {
        if let owner = owner(t) { owner.layersFailed(t, reason) } else { layersFailed(t, reason) }
    }

    @inline(__always)
    func tellDrained(_ t: TransportRef) {
        if let owner = owner(t) { owner.drained(t) } else { drained(t) }
    }

    func tellBlocked(_ t: TransportRef) {
        if let owner = owner(t) { owner.blocked(t) } else { blocked(t) }
    }
}
