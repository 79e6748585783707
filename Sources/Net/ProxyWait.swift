// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Glibc
import Reactor

/// A connection whose first bytes are the proxy's: it becomes the broker's once they are read, and not one byte more.
/// Lives as long as the loop watches its socket. On that loop.
final class ProxyWait {
    private let fd: Int32
    private let proxy: PeerAddress
    private let loop: EventLoop
    private let listener: Listener
    private var header = ProxyHeader()
    private var watch: UInt64?
    private var timer: UInt64?

    init(fd: Int32, proxy: PeerAddress, on loop: EventLoop, of listener: Listener) {
        self.fd = fd
        self.proxy = proxy
        self.loop = loop
        self.listener = listener
    }

    func begin() {
        watch = loop.watch(fd: fd, events: UInt32(CR_IN)) { [self] _ in read() }
        guard watch != nil else { return end("proxy_closed") }
        timer = loop.after(listener.options.proxyTimeout) { [self] in
            timer = nil
            end("proxy_timeout")
        }
        read()
    }

    /// What belongs to the header is looked at first and taken out of the kernel's buffer then: the rest stays there
    /// for whoever reads the connection afterwards.
    private func read() {
        withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer in
            while case .partial = header.outcome {
                let here = recv(fd, buffer.baseAddress, buffer.count, Int32(MSG_PEEK))
                if here < 0 && (cr_errno() == EAGAIN || cr_errno() == EINTR) { return }
                guard here > 0 else { return end("proxy_closed") }
                let taken = header.take(UnsafeRawBufferPointer(rebasing: buffer[..<here]))
                _ = recv(fd, buffer.baseAddress, taken, 0)
            }
            finish()
        }
    }

    private func finish() {
        switch header.outcome {
        case .partial: break
        case .malformed: end("proxy_malformed")
        case .complete(nil): handOver(proxy)
        case .complete(let client?):
            // The rules hold for the proxy, and for the client it speaks for.
            if listener.access.allows(client) { handOver(client) } else { end("access_denied") }
        }
    }

    private func handOver(_ peer: PeerAddress) {
        let listener = listener
        let fd = fd
        let layers = listener.makeLayers(peer, proxied: header.commonName)
        forget()
        listener.broker.accept(fd: fd, peer: peer, listener: listener.number, layers: layers)
    }

    private func end(_ reason: StaticString) {
        listener.broker.countShutdown(listener.number, reason)
        listener.broker.leavePlace(listener.number)
        let fd = fd
        forget()
        close(fd)
    }

    private func forget() {
        if let watch { loop.unwatch(watch) }
        if let timer { loop.cancel(timer: timer) }
        watch = nil
        timer = nil
    }
}
