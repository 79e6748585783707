// SPDX-License-Identifier: Apache-2.0
import Broker
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Net

/// What Hummingbird's server does with an accepted socket of a door. Its own HTTP/1 channel has no place for what must
/// happen next to the decoder: header timeouts, HTTP/1.0, 431, a bounded end.
struct DoorChannel: HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let door: Door

    var responder: Responder {
        { [door] request, writer, channel in try await door.answer(request, writer, channel) }
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            do { return try prepare(channel) } catch {
                // Nobody else would close it.
                channel.close(promise: nil)
                throw error
            }
        }
    }

    private func prepare(_ channel: any Channel) throws -> Value {
        let keeper = try door.admit(channel)
        let pipeline = channel.pipeline.syncOperations
        try door.configure(channel)
        if door.options.isProxied { try pipeline.addHandler(ProxyHandler(keeper)) }
        if let tls = door.makeTLS(keeper) { try pipeline.addHandler(tls) }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = door.options.maxHeader
        limits.maxHeaderFieldSize = door.options.maxHeader
        limits.maxHeaderFieldCount = 100
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
        try pipeline.addHandler(keeper)
        try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: door.isSecure))
        let value = try Value(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        door.arrived(value)
        return value
    }

    func handle(value: Value, logger: Logger) async {
        door.taken(value)
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}

/// An accepted socket that is not let in.
struct NotAdmitted: Error {}
