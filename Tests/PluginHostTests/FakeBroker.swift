// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import CReactor
import Reactor
import Sessions
import Synchronization
import Topics

@testable import PluginHost

/// A broker of a few lines: real loops, chains walked as the real one does, no sessions. Publishing calls the
/// subscriptions of plugins on loop 0.
final class FakeBroker: BrokerPort, @unchecked Sendable {
    private let loops: [EventLoop]
    private let ended = Semaphore()
    private let chains = Mutex<Pointer>(Pointer(set: nil))
    private let deferrals = Mutex<(next: UInt64, open: [UInt64: UInt32])>((1, [:]))
    let events = Mutex<[String]>([])
    private let ids = Atomic<UInt64>(0)
    private let currentOwner = Atomic<UInt32>(0)

    struct Pointer: @unchecked Sendable { var set: UnsafeMutablePointer<ChainSet>? }

    init(loops count: Int) {
        loops = (0..<count).map { EventLoop(index: Int32($0)) }
        let ended = ended
        for loop in loops {
            startDetachedThread("loop") {
                loop.run()
                ended.signal()
            }
        }
    }

    func stop() {
        for loop in loops { loop.stop() }
        for _ in loops { ended.wait() }
    }

    // MARK: - Driving

    /// Runs a hook chain on a loop; the last verdict.
    @discardableResult
    func fire(_ hook: Int, topic: String = "t", payload: String = "p", on index: Int = 0) -> Int32 {
        onLoop(index) { self.walk(hook, topic, payload) }
    }

    func authenticate(_ user: String, on index: Int = 0) -> Int32 {
        onLoop(index) {
            var user = user
            return user.withUTF8 { bytes in
                var request = martlet_auth_req()
                request.size = UInt32(MemoryLayout<martlet_auth_req>.size)
                request.username = martlet_bytes(UnsafeRawBufferPointer(bytes))
                var result = martlet_auth_result()
                result.size = UInt32(MemoryLayout<martlet_auth_result>.size)
                for entry in self.chains.withLock({ $0 }).set?.pointee.auth ?? .init(start: nil, count: 0) {
                    self.currentOwner.store(entry.owner, ordering: .relaxed)
                    entry.cost[index].calls += 1
                    let verdict = entry.function(entry.user, &request, &result)
                    if verdict != Int32(MARTLET_IGNORE) { return verdict }
                }
                return Int32(MARTLET_IGNORE)
            }
        }
    }

    /// The answers of the key chain, one after the other, until one is a key.
    func key(of identity: String, on index: Int = 0) -> [UInt8] {
        onLoop(index) {
            var identity = identity
            return identity.withUTF8 { bytes in
                var key = [UInt8](repeating: 0, count: Int(MARTLET_PSK_MAX_KEY))
                for entry in self.chains.withLock({ $0 }).set?.pointee.psk ?? .init(start: nil, count: 0) {
                    let count = entry.function(
                        entry.user, martlet_bytes(UnsafeRawBufferPointer(bytes)), &key, key.count)
                    if count > 0, count <= key.count { return Array(key[..<count]) }
                }
                return []
            }
        }
    }

    func onLoop<R>(_ index: Int, _ body: @escaping () -> R) -> R {
        nonisolated(unsafe) var result: R?
        nonisolated(unsafe) let body = body
        loops[index].sync { result = body() }
        return result!
    }

    /// On a loop: runs a hook chain.
    func walkHere(_ hook: Int) { _ = walk(hook, "t", "p") }

    private func walk(_ hook: Int, _ topic: String, _ payload: String) -> Int32 {
        guard let set = chains.withLock({ $0 }).set else { return 0 }
        var topic = topic
        var payload = payload
        return topic.withUTF8 { topic in
            payload.withUTF8 { payload in
                var message = Message(topic: UnsafeRawBufferPointer(topic), payload: UnsafeRawBufferPointer(payload))
                return withUnsafeMutablePointer(to: &message) { self.walk(set.pointee.hooks[hook], hook, $0) }
            }
        }
    }

    private func walk(_ chain: UnsafeMutableBufferPointer<HookEntry>, _ hook: Int, _ message: MessageRef) -> Int32 {
        var event = martlet_event()
        event.size = UInt32(MemoryLayout<martlet_event>.size)
        event.hook = Int32(hook)
        event.msg = OpaquePointer(message)
        for entry in chain {
            if !entry.filter.isEmpty, !matches(filter: entry.filter, topic: message.pointee.topic) { continue }
            entry.cost[Int(cr_current_loop())].calls += 1
            let verdict = entry.function(entry.user, &event)
            if verdict == Int32(MARTLET_STOP) { return verdict }
            if verdict != Int32(MARTLET_NEXT) { entry.cost[Int(cr_current_loop())].errors += 1 }
        }
        return Int32(MARTLET_NEXT)
    }

    // MARK: - BrokerPort

    func install(_ new: UnsafeMutablePointer<ChainSet>) -> UnsafeMutablePointer<ChainSet>? {
        let new = Pointer(set: new)
        return chains.withLock { current in
            let old = current
            current = new
            return old
        }.set
    }

    func quiesce() { for loop in loops { loop.sync {} } }

    func abandonDeferrals(of owner: UInt32) {
        deferrals.withLock { state in state.open = state.open.filter { $0.value != owner } }
    }

    func endFeeds(of owner: UInt32) { note("endFeeds") }

    func setAnyTopic(ctx: UnsafeRawPointer?) -> martlet_status { martlet_status(MARTLET_OK) }

    func makeDeferral(ctx: UnsafeRawPointer?, timeoutMS: UInt32) -> martlet_deferred {
        let owner = currentOwner.load(ordering: .relaxed)
        return deferrals.withLock { state in
            state.next += 1
            state.open[state.next] = owner
            return state.next
        }
    }

    private func close(_ deferral: martlet_deferred) -> martlet_status {
        deferrals.withLock { $0.open.removeValue(forKey: deferral) == nil ? statusStale : statusOK }
    }

    func resumeHook(_ deferral: martlet_deferred, verdict: Int32, replacement: MessageRef?) -> martlet_status {
        replacement?.release()
        return close(deferral)
    }
    func answerAuth(_ deferral: martlet_deferred, _ result: UnsafePointer<martlet_auth_result>) -> martlet_status {
        close(deferral)
    }
    func answerACL(_ deferral: martlet_deferred, verdict: Int32) -> martlet_status { close(deferral) }
    func openDeferrals(of owner: UInt32) -> Int { deferrals.withLock { $0.open.values.filter { $0 == owner }.count } }

    func clientField(_ client: martlet_client, _ field: Int32, _ out: UnsafeMutablePointer<martlet_bytes>)
        -> martlet_status
    {
        statusStale
    }
    func copyClientField(
        _ client: martlet_client, _ field: Int32, _ destination: UnsafeMutablePointer<UInt8>?, _ capacity: Int
    ) -> Int {
        note("copy")
        return 0
    }
    func kick(_ client: martlet_client, reason: UInt8) -> martlet_status { statusStale }
    func client(withID clientID: martlet_bytes) -> martlet_client { 0 }
    func invalidateACL(_ client: martlet_client) -> martlet_status { statusOK }
    func setTopic(_ event: UnsafeMutablePointer<martlet_event>, _ index: Int, _ topic: martlet_bytes) -> martlet_status
    {
        statusOK
    }

    func publish(_ message: MessageRef, runHooks: Bool, skipping owner: UInt32) -> martlet_status {
        nonisolated(unsafe) let message = message
        loops[0].post {
            for entry in self.chains.withLock({ $0 }).set?.pointee.deliver ?? .init(start: nil, count: 0)
            where matches(filter: entry.filter, topic: message.pointee.topic) {
                entry.function(entry.user, OpaquePointer(message), martlet_bytes(entry.filter))
            }
            message.release()
        }
        return statusOK
    }
    func subscribe(session: martlet_session, _ subscriptions: UnsafePointer<martlet_sub>, _ count: Int)
        -> martlet_status
    {
        for index in 0..<count { note("subscribe \(subscriptions[index].topic.line())") }
        return statusOK
    }
    func deliver(_ message: MessageRef, to session: martlet_session, qos: UInt8, retain: Bool) -> martlet_status {
        message.release()
        return statusStale
    }
    func feed(_ session: martlet_session, _ feed: UnsafePointer<martlet_feed>, owner: UInt32) -> martlet_status {
        statusStale
    }
    func nextMessageID() -> UInt64 { ids.add(1, ordering: .relaxed).newValue }

    func zone(named name: String) -> Int? { name.isEmpty ? 0 : nil }
    func gateway(_ terms: ListenerTerms) -> UInt16 { 0 }
    func adopt(_ t: TransportRef, peer: PeerAddress, listener: UInt16, zone: Int) { loops[0].close(t) }
    func gatewayCounts(_ name: String) -> (current: Int, shutdowns: [String: Int])? { nil }

    var loopCount: Int { loops.count }
    func loop(_ index: Int) -> EventLoop { loops[index] }

    private func note(_ what: String) { events.withLock { $0.append(what) } }
}
