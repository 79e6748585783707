// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import Glibc
import NIOCore
import NIOHTTP1

/// Watches over one connection: its timers, its end, and what HTTP/1.0 and `Connection: close` ask for. It sits between
/// NIO's decoder and the typed parts that Hummingbird works on, and belongs to the server's loop like all of NIO.
final class Keeper: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// What an answer has to know of its request.
    private struct Traits {
        var isHTTP10: Bool
        var keepsAlive: Bool
        var isHead: Bool
    }

    let number: UInt64
    unowned let door: Door
    /// The client, even where a proxy stands between.
    var peer: PeerAddress
    /// The request that a plugin is asked about, told when the client goes.
    weak var exchange: Exchange?
    /// Since when it waits for the next request, ms; nil while one is being handled.
    private(set) var idleSince: UInt64?
    private var context: ChannelHandlerContext?
    /// Requests whose answer is not complete, the oldest first.
    private var open: [Traits] = []
    /// The body of the last of them is still coming.
    private var isReading = false
    private var hasHead = false
    private var mustClose = false
    private var isLingering = false
    /// An answer of our own that waits until those before it are out.
    private var refusal: Int?
    private var isFirst = true
    private var clock: Scheduled<Void>?
    private var sendClock: Scheduled<Void>?
    /// Why it ends, when that is not the usual end.
    private(set) var reason: String?

    init(_ number: UInt64, _ door: Door, _ peer: PeerAddress) {
        self.number = number
        self.door = door
        self.peer = peer
    }

    // MARK: - Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        waitForRequest(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        clock?.cancel()
        sendClock?.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        clock?.cancel()
        sendClock?.cancel()
        exchange?.leave(martlet_status(reason == "send_timeout" ? MARTLET_E_TIMEOUT : MARTLET_E_IO))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            // A client that closes its side may still want the answer it waits for, but not a stream without end.
            exchange?.leaveStream()
            if isLingering { return context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Ends the connection at once; `reason` is what `listeners` counts it under.
    func close(_ reason: String) {
        if self.reason == nil { self.reason = reason }
        context?.close(promise: nil)
    }

    private func after(_ ms: Int, _ body: @escaping (Keeper) -> Void) -> Scheduled<Void>? {
        guard ms > 0, let context else { return nil }
        return context.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: .milliseconds(Int64(ms))) {
            body(self)
        }
    }

    /// [RFC 9112 §9.5] A client that never completes a request's header does not keep its place.
    private func waitForRequest(_ context: ChannelHandlerContext) {
        idleSince = door.now
        clock?.cancel()
        let wasFirst = isFirst
        clock = after(isFirst ? door.options.headerTimeout : door.options.idleTimeout) { keeper in
            keeper.close(wasFirst ? "header_timeout" : "idle_timeout")
        }
        isFirst = false
    }

    // MARK: - In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering, refusal == nil else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            clock?.cancel()
            idleSince = nil
            open.append(
                Traits(isHTTP10: head.version == .http1_0, keepsAlive: head.isKeepAlive, isHead: head.method == .HEAD))
            isReading = true
            if let status = fault(head) { return refuse(status, "bad_request") }
        case .body: break
        case .end: isReading = false
        }
        context.fireChannelRead(data)
    }

    /// [RFC 9112 §3.2, §6.1] A request of HTTP/1.1 names its host, once, and codes its body in the one way that is
    /// understood: what passed through undecoded would be taken for the body.
    private func fault(_ head: HTTPRequestHead) -> Int? {
        guard head.version == .http1_1 || head.version == .http1_0 else { return 505 }
        let hosts = head.headers["host"]
        if hosts.count > 1 || hosts.isEmpty && head.version == .http1_1 { return 400 }
        guard hosts.allSatisfy(Self.isHost) else { return 400 }
        return head.headers["transfer-encoding"].contains { $0.lowercased() != "chunked" } ? 501 : nil
    }

    /// [RFC 3986 §3.2.2] Letters, digits and the marks that a name, an address and a port may have. It may be empty.
    private static func isHost(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-._~%!$&'()*+,;=:[]".utf8.contains(byte)
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // Nobody else reads any more.
        if isLingering { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let fault = error as? HTTPParserError else {
            reason = reason ?? "socket_error"
            context.close(promise: nil)
            return
        }
        if isReading, !open.isEmpty {
            // In the midst of a body: whoever reads it has to know.
            mustClose = true
            reason = "bad_request"
            return context.fireErrorCaught(error)
        }
        if fault == .invalidEOFState || fault == .closedConnection { return context.close(promise: nil) }
        refuse(fault == .headerOverflow ? 431 : 400, "bad_request")
    }

    /// Answers without anybody's help, after the answers that are owed, and closes.
    func refuse(_ status: Int, _ reason: String) {
        guard let context, refusal == nil, !isLingering else { return }
        self.reason = self.reason ?? reason
        refusal = status
        clock?.cancel()
        if owesOnlyRefusal { writeRefusal(context) }
    }

    /// The refused request itself may be among the open ones, as the last.
    private var owesOnlyRefusal: Bool { open.count <= (isReading ? 1 : 0) }

    private func writeRefusal(_ context: ChannelHandlerContext) {
        guard let status = refusal else { return }
        if hasHead { return close(reason ?? "normal") }
        door.server.counts.count(status)
        let (fields, body) = hostAnswer(status)
        var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
        for field in fields { head.headers.add(name: field.name, value: field.value) }
        head.headers.add(name: "date", value: httpDate(Int(time(nil))))
        head.headers.add(name: "connection", value: "close")
        head.headers.add(name: "content-length", value: "\(body.count)")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        linger(context)
    }

    // MARK: - Out

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isLingering || refusal != nil && owesOnlyRefusal {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head) where (100..<200).contains(head.status.code):
            // [RFC 9110 §15.2] HTTP/1.0 has no such answers.
            if open.first?.isHTTP10 == true { promise?.succeed() } else { context.write(data, promise: promise) }
        case .head(var head):
            hasHead = true
            door.server.counts.count(Int(head.status.code))
            adapt(&head)
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            context.writeAndFlush(data, promise: promise)
            answered(context)
        }
    }

    /// [RFC 9112 §9.3, §9.6] Without Connection: close the client may send its next request here.
    /// [RFC 9110 §6.6.1] Every answer has its date, one that Hummingbird makes of a broken body too.
    private func adapt(_ head: inout HTTPResponseHead) {
        if !head.headers.contains(name: "date") { head.headers.add(name: "date", value: httpDate(Int(time(nil)))) }
        let traits = open.first ?? Traits(isHTTP10: false, keepsAlive: false, isHead: false)
        // A body nobody reads any more would stand before the next request.
        if traits.isHTTP10 || !traits.keepsAlive || isReading && open.count == 1 || !door.isOpen { mustClose = true }
        // [RFC 9110 §9.3.2] To HEAD the encoder would send an empty last chunk where no body belongs.
        let hasNoLength = traits.isHead && !head.headers.contains(name: "content-length")
        if hasNoLength { mustClose = true }
        if traits.isHTTP10 || hasNoLength {
            // Without chunks; the end of the connection is the end of the answer.
            head.version = .http1_0
            head.headers.remove(name: "transfer-encoding")
        }
        if mustClose { head.headers.replaceOrAdd(name: "connection", value: "close") }
    }

    private func answered(_ context: ChannelHandlerContext) {
        hasHead = false
        exchange = nil
        if !open.isEmpty { open.removeFirst() }
        if mustClose { return linger(context) }
        if refusal != nil { return owesOnlyRefusal ? writeRefusal(context) : () }
        if open.isEmpty { waitForRequest(context) }
    }

    /// Our side is closed; what the client still sends is thrown away for a moment, because closing on unread bytes
    /// would reset the connection and with it the answer. [RFC 9112 §9.6]
    private func linger(_ context: ChannelHandlerContext) {
        guard !isLingering else { return }
        isLingering = true
        // The first to go when its place is needed.
        idleSince = 0
        clock?.cancel()
        context.close(mode: .output, promise: nil)
        clock = after(2000) { keeper in keeper.close(keeper.reason ?? "normal") }
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        sendClock?.cancel()
        sendClock = nil
        if !context.channel.isWritable { watchSending(waiting: .max) }
        context.fireChannelWritabilityChanged()
    }

    /// A client that takes something, however slowly, is not closed. Nothing is added while it is not writable.
    private func watchSending(waiting before: Int) {
        let waiting = (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        guard waiting < before else { return close("send_timeout") }
        sendClock = after(door.options.sendTimeout) { keeper in keeper.watchSending(waiting: waiting) }
    }
}
