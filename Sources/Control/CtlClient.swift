// SPDX-License-Identifier: Apache-2.0
import CReactor
import CtlProtocol
import Glibc
import Reactor

/// One connection of martlet_ctl: it sends one request, gets one answer, and is closed. The control thread's; it never
/// waits for the other side.
final class CtlClient {
    enum State { case reading, writing, closed }

    let descriptor: Int32
    private(set) var state = State.reading
    /// Loop time of the last byte in either direction.
    private(set) var lastProgress: UInt64
    private let loop: EventLoop
    private var watch: UInt64?
    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private var written = 0
    private let run: ([[UInt8]]) -> [UInt8]
    private let ended: (CtlClient) -> Void

    /// - Parameters:
    ///   - run: takes the arguments, returns the whole answer in frames.
    ///   - ended: called once, when the connection is closed.
    init(
        _ descriptor: Int32, on loop: EventLoop, run: @escaping ([[UInt8]]) -> [UInt8],
        ended: @escaping (CtlClient) -> Void
    ) {
        self.descriptor = descriptor
        self.loop = loop
        self.run = run
        self.ended = ended
        lastProgress = loop.now
    }

    var waitingBytes: Int { output.count - written }

    /// False when the loop cannot watch the descriptor; the client is then closed.
    func begin() {
        watch = loop.watch(fd: descriptor, events: UInt32(CR_IN)) { [unowned self] _ in
            if state == .reading { read() } else { write() }
        }
        if watch == nil { close() }
    }

    /// Answers without having read a request.
    func refuse(_ sentence: String) { answer(Self.failure(sentence)) }

    static func failure(_ sentence: String) -> [UInt8] {
        CtlProtocol.frames(.error, Array((sentence + "\n").utf8)) + CtlProtocol.exit(1)
    }

    func close() {
        guard state != .closed else { return }
        state = .closed
        if let watch { loop.unwatch(watch) }
        Glibc.close(descriptor)
        ended(self)
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return close() }
        lastProgress = loop.now
        input += chunk[..<count]
        var rest = input[...]
        guard let length = CtlProtocol.takeUInt32(&rest) else { return }
        guard length <= CtlProtocol.maxRequestBytes else {
            return refuse("the request is longer than \(CtlProtocol.maxRequestBytes) bytes.")
        }
        guard rest.count >= length else { return }
        guard rest.count == length, let arguments = CtlProtocol.arguments(ofRequest: rest) else {
            return refuse("the request is not in the ctl protocol.")
        }
        input = []
        answer(run(arguments))
    }

    private func answer(_ frames: [UInt8]) {
        guard state == .reading else { return }
        state = .writing
        output = frames
        write()
    }

    private func write() {
        while written < output.count {
            let count = output.withUnsafeBytes {
                cr_send(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                if let watch { loop.rewatch(watch, events: UInt32(CR_OUT)) }
                return
            }
            guard count > 0 else { return close() }
            written += count
            lastProgress = loop.now
        }
        close()
    }
}
