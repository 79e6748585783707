// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Reactor
import Sessions
import Topics

/// What the plugin host asks of the broker. C values in, C values out: these functions are what the extension tables
/// call, with the plugin's instance already resolved to its `owner` index.
extension Broker {
    // MARK: Chains

    /// [main] Makes `chains` the ones in force and returns those that were. The old set may still be in use until
    /// `quiesce` returns.
    public func install(_ chains: UnsafeMutablePointer<ChainSet>) -> UnsafeMutablePointer<ChainSet>? {
        let old = cr_exchange_ptr(chainCell, UnsafeMutableRawPointer(chains))
        // Other modules may answer otherwise.
        _ = invalidateACL(0)
        return old?.assumingMemoryBound(to: ChainSet.self)
    }

    /// [main] Returns when every loop has finished what it was doing when this was called: no loop is inside a chain
    /// that was replaced before.
    public func quiesce() {
        let done = Semaphore()
        for shard in shards { shard.post { done.signal() } }
        for _ in shards { done.wait() }
    }

    /// [main] Ends every open deferral of a plugin with its chain's default.
    public func abandonDeferrals(of owner: UInt32) {
        for id in deferrals.open(of: owner) {
            guard let slot = deferrals.take(id) else { continue }
            let shard = shards[Int(slot.shard)]
            shard.post { shard.answered(id, slot, .defaulted(slot.kind), byDefault: true) }
        }
    }

    /// [main] Ends every feed of a plugin: its `end` has been called when this returns.
    public func endFeeds(of owner: UInt32) {
        for shard in shards { shard.sync { shard.endFeeds(of: owner) } }
    }

    // MARK: Deferrals

    /// [loop] `ctx` is that of the event or request at hand. 0 when this call cannot be deferred.
    public func makeDeferral(ctx: UnsafeRawPointer?, timeoutMS: UInt32) -> martlet_deferred {
        guard let ctx else { return 0 }
        let context = UnsafeMutableRawPointer(mutating: ctx).assumingMemoryBound(to: CallContext.self)
        return context.pointee.shard.takeUnretainedValue().makeDeferral(context, timeoutMS: timeoutMS)
    }
    /// [any] MARTLET_E_STALE when it was answered, timed out or abandoned before. The reference is taken over even then.
    public func resumeHook(
        _ deferral: martlet_deferred, verdict: Int32, replacement: MessageRef?
    ) -> martlet_status {
        guard verdict == MARTLET_NEXT || verdict == MARTLET_STOP else {
            replacement?.release()
            return martlet_status(MARTLET_E_INVAL)
        }
        guard let slot = deferrals.take(deferral, kind: .hook) else {
            replacement?.release()
            return martlet_status(MARTLET_E_STALE)
        }
        pass(deferral, slot, Replay.Answer(verdict: verdict, message: replacement))
        return martlet_status(MARTLET_OK)
    }
    /// [any]
    public func answerAuth(_ deferral: martlet_deferred, _ result: UnsafePointer<martlet_auth_result>) -> martlet_status
    {
        let verdict = result.pointee.verdict
        guard (Int32(MARTLET_IGNORE)...Int32(MARTLET_CONTINUE)).contains(verdict), verdict != MARTLET_PENDING
        else { return martlet_status(MARTLET_E_INVAL) }
        guard let slot = deferrals.take(deferral, kind: .auth) else { return martlet_status(MARTLET_E_STALE) }
        let auth = UnsafeMutablePointer<AuthAnswer>.allocate(capacity: 1)
        auth.initialize(to: AuthAnswer(result.pointee))
        pass(deferral, slot, Replay.Answer(verdict: verdict, auth: auth))
        return martlet_status(MARTLET_OK)
    }
    /// [any]
    public func answerACL(_ deferral: martlet_deferred, verdict: Int32) -> martlet_status {
        guard verdict >= MARTLET_IGNORE, verdict <= MARTLET_ERROR else { return martlet_status(MARTLET_E_INVAL) }
        guard let slot = deferrals.take(deferral, kind: .acl) else { return martlet_status(MARTLET_E_STALE) }
        pass(deferral, slot, Replay.Answer(verdict: verdict))
        return martlet_status(MARTLET_OK)
    }
    /// Deferrals not yet answered, for `plugins show`.
    public func openDeferrals(of owner: UInt32) -> Int {
        deferrals.open(of: owner).count
    }

    // MARK: Clients

    /// [loop] of the client.
    public func clientField(
        _ client: martlet_client, _ field: Int32, _ out: UnsafeMutablePointer<martlet_bytes>
    ) -> martlet_status {
        guard Handle.shard(client) == Int(cr_current_loop()) else { return martlet_status(MARTLET_E_THREAD) }
        let shard = shards[Handle.shard(client)]
        guard let c = shard.connection(client) else { return martlet_status(MARTLET_E_STALE) }
        let bytes = shard.field(c, field)
        guard bytes.count > 0 else { return martlet_status(MARTLET_E_NOTFOUND) }
        out.pointee = bytes.c
        return martlet_status(MARTLET_OK)
    }
    /// [any but another loop]
    public func copyClientField(
        _ client: martlet_client, _ field: Int32, _ destination: UnsafeMutablePointer<UInt8>?, _ capacity: Int
    ) -> Int {
        let number = Handle.shard(client)
        guard shards.indices.contains(number) else { return 0 }
        let here = Int(cr_current_loop())
        guard here < 0 || here == number else { return 0 }
        let shard = shards[number]
        nonisolated(unsafe) let destination = destination
        nonisolated(unsafe) var length = 0
        shard.sync {
            guard let c = shard.connection(client) else { return }
            let bytes = shard.field(c, field)
            length = bytes.count
            if let destination, bytes.count > 0 {
                UnsafeMutableRawPointer(destination).copyMemory(
                    from: bytes.baseAddress!, byteCount: min(bytes.count, capacity))
            }
        }
        return length
    }
    /// [any]
    public func kick(_ client: martlet_client, reason: UInt8) -> martlet_status {
        let number = Handle.shard(client)
        guard shards.indices.contains(number) else { return martlet_status(MARTLET_E_STALE) }
        let shard = shards[number]
        if Int(cr_current_loop()) == number, shard.connection(client) == nil { return martlet_status(MARTLET_E_STALE) }
        shard.post {
            guard let c = shard.connection(client) else { return }
            shard.close(c, Refusal(ReasonCode(rawValue: reason)), counted: "kicked")
        }
        return martlet_status(MARTLET_OK)
    }
    /// [any but a loop]
    public func client(withID clientID: martlet_bytes) -> martlet_client {
        let handle = registry.find(registry.key(clientID.bytes))
        guard handle != 0, cr_current_loop() < 0 else { return 0 }
        let shard = shards[Handle.shard(handle)]
        nonisolated(unsafe) var found: UInt64 = 0
        shard.sync {
            guard let s = shard.session(handle), let c = s.pointee.connection else { return }
            found = shard.handle(c)
        }
        return found
    }
    /// [any] 0: all clients.
    public func invalidateACL(_ client: martlet_client) -> martlet_status {
        if client == 0 {
            aclEpochs.forgetAll()
            return martlet_status(MARTLET_OK)
        }
        guard shards.indices.contains(Handle.shard(client)) else { return martlet_status(MARTLET_E_STALE) }
        aclEpochs.forget(client)
        return martlet_status(MARTLET_OK)
    }
    /// [loop] acl.any_topic: `ctx` is that of the request at hand.
    public func setAnyTopic(ctx: UnsafeRawPointer?) -> martlet_status {
        guard let ctx else { return martlet_status(MARTLET_E_INVAL) }
        let context = UnsafeMutableRawPointer(mutating: ctx).assumingMemoryBound(to: CallContext.self)
        guard context.pointee.kind == .acl else { return martlet_status(MARTLET_E_STATE) }
        context.pointee.isForAnyTopic = true
        return martlet_status(MARTLET_OK)
    }

    /// [loop] hooks.set_topic: `ctx` is that of the event.
    public func setTopic(
        _ event: UnsafeMutablePointer<martlet_event>, _ index: Int, _ topic: martlet_bytes
    ) -> martlet_status {
        guard let ctx = event.pointee.ctx, index >= 0, index < event.pointee.nsubs else {
            return martlet_status(MARTLET_E_INVAL)
        }
        let context = UnsafeMutableRawPointer(mutating: ctx).assumingMemoryBound(to: CallContext.self)
        guard let topics = context.pointee.topics else { return martlet_status(MARTLET_E_STATE) }
        guard isValidFilter(topic.bytes), isValidUTF8(topic.bytes) else { return martlet_status(MARTLET_E_INVAL) }
        // The copy lives in the runner's array until the packet is done, and arrays do not move their storage.
        topics.pointee.append(Array(topic.bytes))
        event.pointee.subs![index].topic = topics.pointee.last!.withUnsafeBytes { $0.c }
        return martlet_status(MARTLET_OK)
    }

    // MARK: Publish and subscribe

    /// [any] Takes over one reference.
    public func publish(_ message: MessageRef, runHooks: Bool, skipping owner: UInt32) -> martlet_status {
        let here = Int(cr_current_loop())
        // One shard for all other threads keeps what a plugin publishes in order.
        let shard = here >= 0 ? shards[here] : shards[0]
        nonisolated(unsafe) let message = message
        if message.pointee.id == 0 { message.pointee.id = nextMessageID() }
        if message.pointee.timestamp == 0 { message.pointee.timestamp = cr_unix_ms() }
        // Never from inside: the loop may be in the middle of a route.
        shard.post { shard.publishOwned(message, runHooks: runHooks, skipping: owner) }
        return martlet_status(MARTLET_OK)
    }
    /// [any]
    public func subscribe(
        session: martlet_session, _ subscriptions: UnsafePointer<martlet_sub>, _ count: Int
    ) -> martlet_status {
        let number = Handle.shard(session)
        guard shards.indices.contains(number) else { return martlet_status(MARTLET_E_STALE) }
        let shard = shards[number]
        if Int(cr_current_loop()) == number, shard.session(session) == nil { return martlet_status(MARTLET_E_STALE) }
        let requests = (0..<count).map { i in
            (
                sub: subscriptions[i], topic: Array(subscriptions[i].topic.bytes),
                group: Array(subscriptions[i].share_group.bytes)
            )
        }
        guard requests.allSatisfy({ $0.topic.withUnsafeBytes { isValidFilter($0) } })
        else { return martlet_status(MARTLET_E_INVAL) }
        nonisolated(unsafe) let copies = requests
        shard.post {
            guard let s = shard.session(session) else { return }
            for request in copies { shard.subscribe(s, request.sub, request.topic, request.group) }
        }
        return martlet_status(MARTLET_OK)
    }
    /// [any] Takes over one reference.
    public func deliver(_ message: MessageRef, to session: martlet_session, qos: UInt8, retain: Bool) -> martlet_status
    {
        let number = Handle.shard(session)
        guard shards.indices.contains(number) else {
            message.release()
            return martlet_status(MARTLET_E_STALE)
        }
        let shard = shards[number]
        nonisolated(unsafe) let message = message
        let work: @Sendable () -> Bool = {
            defer { message.release() }
            guard let s = shard.session(session) else { return false }
            shard.deliverOne(message, to: s, qos: qos, retain: retain)
            return true
        }
        if Int(cr_current_loop()) == number { return martlet_status(work() ? MARTLET_OK : MARTLET_E_STALE) }
        shard.post { _ = work() }
        return martlet_status(MARTLET_OK)
    }
    /// [loop] of the session.
    public func feed(
        _ session: martlet_session, _ feed: UnsafePointer<martlet_feed>, owner: UInt32
    ) -> martlet_status {
        guard Handle.shard(session) == Int(cr_current_loop()) else { return martlet_status(MARTLET_E_THREAD) }
        let shard = shards[Handle.shard(session)]
        guard let s = shard.session(session) else { return martlet_status(MARTLET_E_STALE) }
        shard.addFeed(s, feed.pointee, owner: owner)
        return martlet_status(MARTLET_OK)
    }

    /// A fresh message id, ascending per node.
    public func nextMessageID() -> UInt64 {
        let here = Int(cr_current_loop())
        if here >= 0 { return shards[here].nextMessageID() }
        return cr_add_relaxed_u64(turns + 1023, 64) &+ UInt64(cr_unix_ms()) << 22 | 63
    }

    // MARK: Loops

    public var loopCount: Int { shards.count }
    /// The data loop with this index; an `EventLoop`, so timers, watches and tasks are its own functions.
    public func loop(_ index: Int) -> EventLoop { shards[index] }

    private func pass(_ id: UInt64, _ slot: Deferrals.Slot, _ answer: Replay.Answer) {
        let shard = shards[Int(slot.shard)]
        nonisolated(unsafe) let answer = answer
        shard.post { shard.answered(id, slot, answer) }
    }
}
