// SPDX-License-Identifier: Apache-2.0
import CTLS
import Glibc

/// Clients over TLS. Records that the socket has not taken wait in `wire`, as WebSocket's frames do.
extension Loop {
    static func makeTLSContext() throws -> OpaquePointer {
        guard let context = ctls_context_new(false) else { throw BenchError("OpenSSL makes no TLS context") }
        // The broker under test proves nothing: whose certificate it has is not what is measured.
        ctls_set_unverified(context)
        return context
    }

    func dropTLSContext() {
        if let tlsContext { ctls_context_free(tlsContext) }
    }

    func beginHandshake(_ client: ClientPointer) {
        client.pointee.tls = ctls_stream_new(
            tlsContext,
            { user, bytes, count in
                let client = user!.assumingMemoryBound(to: Client.self)
                client.pointee.wire.grow(count).update(from: bytes!, count: count)
            }, client)
        guard let tls = client.pointee.tls else { return fail(client, "OpenSSL has no memory for a connection") }
        client.pointee.state = .shaking
        _ = ctls_stream_begin(tls)
        markDirty(client)
    }

    func dropTLS(_ client: ClientPointer) {
        if let tls = client.pointee.tls { ctls_stream_free(tls) }
        client.pointee.tls = nil
    }

    /// One `recv` into the scratch room, decrypted behind the `kept` bytes of a packet that came earlier.
    func receiveRecords(_ client: ClientPointer, _ kept: Int) {
        // What comes out may be a record longer than what goes in.
        let room = min(scratchCapacity, receiveCapacity - kept - Self.recordSize)
        let count = recv(client.pointee.fd, scratch, room, 0)
        guard count > 0, let tls = client.pointee.tls else {
            if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
            return closed(client)
        }
        bytesThisTick += count
        var plain = 0
        let state = ctls_stream_receive(
            tls, scratch, count, receiveBuffer + kept, receiveCapacity - kept, &plain)
        if client.pointee.wire.count > 0 { markDirty(client) }
        if client.pointee.state == .shaking, ctls_stream_is_ready(tls) { transportIsThere(client) }
        if plain > 0, traffic.transport.isWebSocket {
            if let payload = unpack(client, receiveBuffer + kept, plain) { takePackets(client, kept + payload) }
        } else if plain > 0 {
            takePackets(client, kept + plain)
        }
        guard client.pointee.fd >= 0 else { return }
        switch Int(state) {
        case CTLS_FAILED: fail(client, "TLS: \(String(cString: ctls_stream_failure_text(tls)))")
        case CTLS_ENDED: closed(client)
        default: if count == room { more.append(client) }
        }
    }

    /// The most a record holds, RFC 8446 §5.1.
    private static let recordSize = 16_384

    func flushRecords(_ client: ClientPointer) {
        guard sendPendingRecords(client), let tls = client.pointee.tls,
            client.pointee.state != .shaking && client.pointee.state != .upgrading
        else { return }
        let head = traffic.transport.isWebSocket ? WebSocket.headRoom : 0
        let start = scratch + head
        let space = scratchCapacity - head
        var count = min(client.pointee.output.count, space / 2)
        if count > 0 {
            start.update(from: client.pointee.output.bytes!, count: count)
            client.pointee.output.replace(client.pointee.output.bytes! + count, client.pointee.output.count - count)
        }
        if client.pointee.output.count > 0 {
            markDirty(client)
        } else if isPublishing && client.pointee.state == .ready, let publisher = client.pointee.publisher {
            count += writeMessages(client, publisher, start + count, space - count)
        }
        if count > 0 {
            let first = head > 0 ? WebSocket.seal(start, count) : start
            _ = ctls_stream_send(tls, first, start + count - first)
        }
        if client.pointee.state == .closing && client.pointee.output.count == 0 { ctls_stream_finish(tls) }
        if sendPendingRecords(client) { endIfSaid(client) }
    }

    /// False when the socket takes no more for now, or is gone.
    private func sendPendingRecords(_ client: ClientPointer) -> Bool {
        guard client.pointee.wire.count > 0 else { return client.pointee.fd >= 0 }
        sendWire(client, client.pointee.wire.bytes!, client.pointee.wire.count)
        return client.pointee.fd >= 0 && !client.pointee.isBlocked
    }
}
