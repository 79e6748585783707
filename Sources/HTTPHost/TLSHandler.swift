// SPDX-License-Identifier: Apache-2.0
import NIOCore
import TLS

/// TLS beneath HTTP, by the OpenSSL that the MQTT listeners use: one library, one set of keys, one way to load
/// certificates anew. Belongs to the server's loop.
final class TLSHandler: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private unowned let keeper: Keeper
    /// Memory to decode into, lent by the door: all its connections are on one loop.
    private let room: UnsafeMutableRawBufferPointer
    private var stream: TLSStream?
    /// Encoded and not yet handed on.
    private var out = ByteBuffer()
    /// Bytes that TLS itself has answered while the peer took nothing: new keys (RFC 8446 §4.6.3) may be asked for without
    /// end.
    private var unasked = 0
    private static let mostUnasked = 256 << 10
    /// The peer's goodbye, which the end of its TCP stream follows.
    private var hasEnded = false

    init(_ context: TLSContext, _ keeper: Keeper, room: UnsafeMutableRawBufferPointer) {
        self.keeper = keeper
        self.room = room
        stream = TLSStream(context) { [unowned self] bytes in out.writeBytes(bytes) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { stream = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let stream, !hasEnded else { return }
        let state = unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            stream.receive(bytes, room: room) { plain in
                context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: plain)))
            }
        }
        switch state {
        case .open:
            if context.channel.isWritable { unasked = 0 } else { unasked += out.readableBytes }
            if unasked > Self.mostUnasked { return keeper.close("tls_flood") }
            flushOut(context)
        case .ended:
            hasEnded = true
            flushOut(context)
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .failed(let failure):
            hasEnded = true
            flushOut(context)
            keeper.close("\(failure.reason)")
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            if hasEnded { return }
            if !(stream?.isReady ?? false) { return keeper.close("normal") }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let stream, stream.isReady, case .byteBuffer(var buffer) = unwrapOutboundIn(data) else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        while buffer.readableBytes > 0 {
            let count = min(buffer.readableBytes, 64 << 10)
            buffer.readWithUnsafeReadableBytes { bytes in
                stream.send(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
                return count
            }
        }
        context.write(takeOut(), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode != .input {
            stream?.finish()
            flushOut(context)
        }
        context.close(mode: mode, promise: promise)
    }

    private func flushOut(_ context: ChannelHandlerContext) {
        guard out.readableBytes > 0 else { return }
        context.writeAndFlush(takeOut(), promise: nil)
    }

    private func takeOut() -> NIOAny {
        defer { out = ByteBuffer() }
        return wrapOutboundOut(.byteBuffer(out))
    }
}
