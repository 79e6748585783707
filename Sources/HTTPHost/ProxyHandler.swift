// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Net

/// What the proxy in front says before anybody else, TLS included: PROXY protocol, version 1 or 2. All that follows its
/// header passes through. Belongs to the server's loop.
final class ProxyHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private unowned let keeper: Keeper
    private var header = ProxyHeader()
    private var isOver = false
    private var clock: Scheduled<Void>?

    init(_ keeper: Keeper) { self.keeper = keeper }

    func handlerAdded(context: ChannelHandlerContext) {
        let timeout = TimeAmount.milliseconds(Int64(keeper.door.options.proxyTimeout))
        clock = context.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: timeout) { [weak self] in
            self?.end("proxy_timeout")
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { clock?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isOver { return context.fireChannelRead(data) }
        var buffer = unwrapInboundIn(data)
        let taken = buffer.withUnsafeReadableBytes { header.take($0) }
        switch header.outcome {
        case .partial: return
        case .malformed: return end("proxy_malformed")
        case .complete(let client):
            // The rules hold for the proxy, and for the client it speaks for.
            if let client {
                guard keeper.door.access.allows(client) else { return end("access_denied") }
                keeper.peer = client
            }
        }
        isOver = true
        clock?.cancel()
        buffer.moveReaderIndex(forwardBy: taken)
        if buffer.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(buffer)) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { end("proxy_closed") }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("proxy_closed")
        context.fireChannelInactive()
    }

    /// Nothing happens once the header is there.
    private func end(_ reason: String) {
        guard !isOver else { return }
        isOver = true
        clock?.cancel()
        keeper.close(reason)
    }
}
