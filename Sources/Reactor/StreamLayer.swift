// SPDX-License-Identifier: Apache-2.0

/// What a layer made of the bytes it was given.
public enum LayerState: Sendable {
    case open
    /// The peer ended its side as the protocol has it (close_notify, a close frame).
    case ended
    /// It cannot go on; the reason is what `listeners` counts it under. What the layer still has to say (an alert, a
    /// close frame) it has handed to `down` before.
    case failed(StaticString)
}

/// Why the owner ends a connection, for layers whose goodbye can say it.
public enum Farewell: Sendable {
    case normal
    /// This end is shutting down.
    case goingAway
    /// The peer broke the owner's protocol.
    case violation
    /// The peer sent more at once than the owner takes.
    case tooBig
    /// The peer may not be here, or not any longer.
    case refused
}

/// Stands between the bytes of a socket and those of its owner: TLS, WebSocket frames. A layer knows no socket and no
/// clock; it belongs to one loop at a time and moves with its socket.
open class StreamLayer: @unchecked Sendable {
    fileprivate unowned(unsafe) var stack: LayerStack?
    fileprivate var position = 0

    public init() {}

    /// The stack is on its loop: a client's layer says its first words here.
    open func begin() {}
    /// Bytes from below. Hands on what they contain with `up`, any number of times, and answers with `down`. They are
    /// borrowed until it returns and may be overwritten in place. Not called again after `.ended` or `.failed`.
    open func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState { .open }
    /// Bytes from above, at most 64 KiB: encodes them and hands them to `down`. Not before the stack `isReady`; a layer
    /// that has given up since then drops them.
    open func send(_ bytes: UnsafeRawBufferPointer) {}
    /// The owner's last bytes have been sent: says goodbye with `down`, if it ever said hello. Called once at most.
    open func finish() {}
    /// The handshake is over. The owner's bytes wait until all layers are ready.
    open var isReady: Bool { true }
    /// The owner's patience with the handshake is at its end.
    open func expire() { fail(waitsFor) }
    /// What a connection is counted under whose handshake this layer still waits for when its time is up.
    open var waitsFor: StaticString { "handshake_timeout" }
    /// Who the peer has proven to be, where the layer knows.
    open var certificate: PeerCertificate? { nil }
    /// One of the things by which it has; nil: no such thing.
    open func proof(_ what: PeerProof) -> [UInt8]? { nil }
    /// Whom the peer says it speaks for, where the layer was told to believe it.
    open var forwarded: ForwardedPeer? { nil }

    /// To the layer above, or to the owner.
    public final func up(_ bytes: UnsafeMutableRawBufferPointer) { stack?.up(bytes, from: position) }
    /// To the layer below, or to the socket.
    public final func down(_ bytes: UnsafeRawBufferPointer) { stack?.down(bytes, from: position) }
    /// The layer gives up by itself, outside `receive`; on its loop.
    public final func fail(_ reason: StaticString) { stack?.fail(reason) }
    /// Nobody wants bytes from below any more: the connection is closing or gone.
    public final var isDeaf: Bool { stack?.isDeaf ?? true }
    /// Encoded bytes that the kernel has not taken. The owner's are encoded a helping at a time, so much more than one
    /// means that the layer itself says more than the peer reads.
    public final var backlog: Int { stack?.wireBytes ?? 0 }
    /// Why the owner ends the connection; for `finish`.
    public final var farewell: Farewell { stack?.farewell ?? .normal }
    /// 64 KiB of the loop for what a layer decodes, so that none needs a buffer of its own. One layer of a stack may
    /// use it, within one `receive`.
    public final var scratch: UnsafeMutableRawBufferPointer { stack!.loop!.layerScratch }
}

/// Who a client has proven to be: the names out of its certificate.
public struct PeerCertificate: Sendable, Equatable {
    public var commonName: String
    /// RFC 2253: "CN=device-1,O=Acme"
    public var distinguishedName: String
    /// In the order of the certificate: "/O=Acme/CN=device-1"
    public var subject: String
    /// The identity of the shared key that a client came with instead of a certificate; the other names are empty then.
    public var sharedKey: String
    public init(
        commonName: String = "", distinguishedName: String = "", subject: String = "", sharedKey: String = ""
    ) {
        self.commonName = commonName
        self.distinguishedName = distinguishedName
        self.subject = subject
        self.sharedKey = sharedKey
    }
}

/// What a peer can be asked about that has proven who it is. The numbers are those of `martlet/net.h`.
public enum PeerProof: Int32, Sendable {
    /// The names of `PeerCertificate`.
    case commonName, distinguishedName, subject
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    case fingerprint
    /// The certificate itself.
    case der, pem
    /// The identity of its shared key.
    case sharedKey
}

/// The client behind a proxy, as the proxy names it.
public struct ForwardedPeer: Sendable, Equatable {
    /// "192.0.2.7", "2001:db8::7"
    public var address: String
    public var port: UInt16
    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// The layers of one connection, from the socket up, and what they have encoded that the kernel has not taken.
public final class LayerStack: @unchecked Sendable {
    /// Next to the socket first.
    public let layers: [StreamLayer]
    unowned(unsafe) var loop: EventLoop?
    var transport: TransportRef?
    var wireHead: UnsafeMutablePointer<OutSegment>?
    var wireTail: UnsafeMutablePointer<OutSegment>?
    var wireBytes = 0
    /// The first state of a layer that was not `.open`.
    var state = LayerState.open
    /// `isReady` was told to the owner. It spares every flush the walk over the layers.
    var wasReady = false
    /// Set by the owner before it lets the connection linger.
    public var farewell = Farewell.normal
    var isFlushing = false
    private var isFinished = false

    public init(_ layers: [StreamLayer]) {
        self.layers = layers
        for (i, layer) in layers.enumerated() {
            layer.stack = self
            layer.position = i
        }
    }

    deinit {
        // A layer may outlive the stack in somebody's hands.
        for layer in layers { layer.stack = nil }
    }

    public var isReady: Bool { layers.allSatisfy(\.isReady) }
    /// Of the lowest layer that is not ready.
    public var waitsFor: StaticString { layers.first { !$0.isReady }?.waitsFor ?? "handshake_timeout" }
    /// The lowest layer that is not ready gives up.
    public func expire() { layers.first { !$0.isReady }?.expire() }
    public var certificate: PeerCertificate? { layers.lazy.compactMap(\.certificate).first }
    public func proof(_ what: PeerProof) -> [UInt8]? { layers.lazy.compactMap { $0.proof(what) }.first }
    public var forwarded: ForwardedPeer? { layers.lazy.compactMap(\.forwarded).first }

    var isDeaf: Bool { transport.map { !$0.pointee.isOpen } ?? true }

    func feed(_ bytes: UnsafeMutableRawBufferPointer, to position: Int) {
        guard case .open = state else { return }
        let answer = layers[position].receive(bytes)
        // A layer above may have ended meanwhile: its word stands.
        if case .open = state { state = answer }
    }

    func up(_ bytes: UnsafeMutableRawBufferPointer, from position: Int) {
        guard bytes.count > 0 else { return }
        if position + 1 < layers.count { return feed(bytes, to: position + 1) }
        guard let loop, let transport else { return }
        loop.noteReady(transport, self)
        guard !isDeaf else { return }
        loop.deliverDecoded(transport, UnsafeRawBufferPointer(bytes))
    }

    func down(_ bytes: UnsafeRawBufferPointer, from position: Int) {
        if position > 0 { return layers[position - 1].send(bytes) }
        guard bytes.count > 0, let loop, let transport else { return }
        loop.appendWire(transport, self, bytes)
    }

    func send(_ bytes: UnsafeRawBufferPointer) { layers[layers.count - 1].send(bytes) }

    func finish() {
        guard !isFinished else { return }
        isFinished = true
        for layer in layers.reversed() { layer.finish() }
    }

    func fail(_ reason: StaticString) {
        guard case .open = state else { return }
        state = .failed(reason)
        if let loop, let transport, !isDeaf { loop.gaveUp(transport, reason) }
    }

    func discard(pool: inout BufferPool) {
        while let head = wireHead {
            wireHead = head.pointee.next
            pool.give(head)
        }
        wireTail = nil
        wireBytes = 0
    }
}
