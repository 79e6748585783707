// SPDX-License-Identifier: Apache-2.0
import CHTTPClient

/// The way of a request through the pool, on the client's thread: admit, wait for a connection, run, perhaps pause and
/// run again, finish.
extension HTTPPool {
    func admit(_ exchange: Exchange) {
        guard exchange.isPending, !isClosed else { return }
        live[ObjectIdentifier(exchange)] = exchange
        exchange.deadline = thread.after(UInt64(exchange.request.timeoutMS)) { [unowned self] in
            exchange.deadline = nil
            finish(exchange, exchange.timeoutResult())
        }
        place(exchange)
    }

    /// Runs it now, or has it wait for one of its origin's connections.
    private func place(_ exchange: Exchange) {
        let name = exchange.originName
        let origin = origins[name] ?? Origin(name, limit: Int(options.hostConnections))
        origins[name] = origin
        exchange.phase = .waiting(origin)
        origin.wait(exchange)
        stats.withLock { $0.queued += 1 }
        pump(origin)
    }

    /// Starts what has room; forgets an origin nobody needs.
    private func pump(_ origin: Origin) {
        while !isClosed, let exchange = origin.next() {
            stats.withLock { $0.queued -= 1 }
            exchange.phase = .new
            // One that was cancelled is about to be dropped.
            if exchange.isPending { run(exchange, origin) }
        }
        if origin.isIdle { origins[origin.name] = nil }
    }

    private func run(_ exchange: Exchange, _ origin: Origin) {
        var request = exchange.makeRequest()
        guard let handle = openHandle(), let transfer = chc_transfer_start(handle, &request) else {
            return finish(exchange, outOfMemory(exchange))
        }
        origin.begin()
        exchange.phase = .running(origin, transfer)
    }

    private func outOfMemory(_ exchange: Exchange) -> HTTPResult {
        var result = HTTPResult()
        result.failure = .internal
        result.sentence = "\(exchange.request.method) \(exchange.originName): out of memory"
        return result
    }

    /// libcurl is done with some transfers.
    func collect() {
        guard let handle else { return }
        while let transfer = chc_pool_finished(handle) {
            let exchange = exchange(chc_transfer_user(transfer))
            let outcome = chc_transfer_outcome(transfer)
            let result = exchange.result(of: outcome)
            if case .running(let origin, _) = exchange.phase, outcome.version >= 20 {
                origin.limit = Int(options.hostConnections) * HTTPPool.streams
            }
            stats.withLock {
                $0.connections += UInt64(outcome.connects)
                $0.retries += UInt64(exchange.resends)
            }
            conclude(exchange, result)
        }
    }

    /// Requests that share a connection over HTTP/2; what servers usually allow.
    private static let streams = 100

    private func conclude(_ exchange: Exchange, _ result: HTTPResult) {
        guard let failure = result.failure, exchange.attempt <= exchange.request.retries,
            exchange.rule.mayRepeat(
                after: failure, wasSent: exchange.wasSent, wasAnswered: exchange.wasAnswered)
        else { return finish(exchange, result) }
        letGo(exchange)
        stats.withLock { $0.retries += 1 }
        let pause = RetryRule.pause(before: exchange.attempt + 1, dice: .random(in: 0..<1))
        exchange.phase = .pausing(
            timer: thread.after(pause) { [unowned self] in place(exchange) })
    }

    private func finish(_ exchange: Exchange, _ result: HTTPResult) {
        letGo(exchange)
        end(exchange)
        guard exchange.isPending else { return }
        var result = result
        result.microseconds = exchange.age
        stats.withLock { stats in
            if let failure = result.failure {
                stats.failures[failure, default: 0] += 1
            } else {
                stats.responses += 1
                stats.latency.add(microseconds: result.microseconds)
            }
        }
        exchange.completion(exchange, result)
    }

    /// It was cancelled.
    func drop(_ exchange: Exchange) {
        letGo(exchange)
        end(exchange)
    }

    /// Takes it from where it is.
    private func letGo(_ exchange: Exchange) {
        let phase = exchange.phase
        exchange.phase = .new
        switch phase {
        case .waiting(let origin):
            origin.remove(exchange)
            stats.withLock { $0.queued -= 1 }
            pump(origin)
        case .running(let origin, let transfer):
            chc_transfer_end(transfer)
            origin.end()
            pump(origin)
        case .pausing(let timer): thread.cancel(timer: timer)
        case .new, .over: break
        }
    }

    private func end(_ exchange: Exchange) {
        exchange.phase = .over
        exchange.forgetResponse()
        if let deadline = exchange.deadline { thread.cancel(timer: deadline) }
        exchange.deadline = nil
        live[ObjectIdentifier(exchange)] = nil
    }

    func shut() {
        guard !isClosed else { return }
        isClosed = true
        for exchange in live.values {
            drop(exchange)
        }
        if let timer { thread.cancel(timer: timer) }
        timer = nil
        if let handle { chc_pool_free(handle) }
        handle = nil
    }
}
