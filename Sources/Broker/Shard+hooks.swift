// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

extension Bytes {
    @inline(__always) var c: martlet_bytes {
        martlet_bytes(ptr: baseAddress?.assumingMemoryBound(to: UInt8.self), len: count)
    }
}

extension martlet_bytes {
    /// None where there is no pointer, and where the length is one that no memory has.
    @inline(__always) var bytes: Bytes { Bytes(start: ptr, count: ptr == nil ? 0 : max(0, len)) }
}

extension Shard {
    @inline(__always)
    func chain(_ hook: Int) -> UnsafeMutableBufferPointer<HookEntry> { chains.pointee.hooks[hook] }

    func makeEvent(
        _ hook: Int, _ c: ConnectionRef?, _ s: SessionRef?, code: Int32 = 0, message: MessageRef? = nil
    ) -> martlet_event {
        var event = martlet_event()
        event.size = UInt32(MemoryLayout<martlet_event>.size)
        event.hook = Int32(hook)
        if let c { event.client = handle(c) }
        if let s {
            event.session = handle(s)
            event.clientid = s.pointee.clientID.c
            event.username = s.pointee.username.c
        }
        event.code = code
        if let message { event.msg = OpaquePointer(message) }
        return event
    }

    private func makeContext(_ c: ConnectionRef?, deferrable: Bool = false) -> CallContext {
        CallContext(
            kind: .hook, isDeferrable: deferrable, shard: Unmanaged.passUnretained(self), connection: c, owner: 0,
            deferral: 0, topics: nil)
    }

    /// What an entry asked to see. A hook before it may have replaced the message.
    @inline(__always)
    private func concerns(_ entry: UnsafePointer<HookEntry>, _ topic: Bytes, _ message: OpaquePointer?) -> Bool {
        if entry.pointee.retainOnly, let message, !MessageRef(message).pointee.flags.contains(.retain) { return false }
        return entry.pointee.filter.count == 0 || matches(filter: entry.pointee.filter, topic: topic)
    }

    // MARK: - Notify

    /// Everybody is told; what they answer does not count.
    func notify(_ event: inout martlet_event, _ c: ConnectionRef?, topic: Bytes? = nil) {
        let entries = chain(Int(event.hook))
        var context = makeContext(c)
        withUnsafePointer(to: &context) { event.ctx = UnsafeRawPointer($0) }
        for i in 0..<entries.count {
            let entry = entries.baseAddress! + i
            if let topic, !concerns(entry, topic, event.msg) { continue }
            _ = measured(entry) { entry.pointee.function(entry.pointee.user, &event) }
        }
    }

    func runClientHook(_ hook: Int, _ c: ConnectionRef?, _ s: SessionRef?, code: Int32 = 0) {
        guard chain(hook).count > 0 else { return }
        var event = makeEvent(hook, c, s, code: code)
        notify(&event, c)
    }

    @inline(__always)
    func runMessageHook(_ hook: Int, _ c: ConnectionRef?, _ s: SessionRef?, _ message: MessageRef, code: Int32 = 0) {
        guard chain(hook).count > 0 else { return }
        messageHook(hook, c, s, message, code)
    }

    @inline(never)
    private func messageHook(_ hook: Int, _ c: ConnectionRef?, _ s: SessionRef?, _ message: MessageRef, _ code: Int32) {
        var event = makeEvent(hook, c, s, code: code, message: message)
        notify(&event, c, topic: message.pointee.topic)
    }

    func runSubscriptionHook(_ hook: Int, _ c: ConnectionRef?, _ s: SessionRef, _ sub: martlet_sub) {
        guard chain(hook).count > 0 else { return }
        var sub = sub
        var event = makeEvent(hook, c, s)
        withUnsafeMutablePointer(to: &sub) { p in
            event.subs = p
            event.nsubs = 1
            notify(&event, c, topic: hook == MARTLET_HOOK_SESSION_SUBSCRIBED ? p.pointee.topic.bytes : nil)
        }
    }

    // MARK: - Fold

    enum FoldResult {
        case go
        case stop
        case wait
    }

    /// client.subscribe and client.unsubscribe: the filters may be changed in place.
    func foldSubscriptions(
        _ hook: Int, _ c: ConnectionRef, _ subs: UnsafeMutableBufferPointer<martlet_sub>, _ topics: inout [[UInt8]]
    ) -> FoldResult {
        let entries = chain(hook)
        guard entries.count > 0 else { return .go }
        var start = 0
        if let answer = givenAnswer(c, .hook) {
            if answer.verdict == MARTLET_STOP { return .stop }
            if let next = position(after: answer, in: entries) {
                start = next
                c.pointee.replay!.pointee.restore(subs, &topics)
            }
        }
        var event = makeEvent(hook, c, c.pointee.session)
        event.subs = subs.baseAddress
        event.nsubs = subs.count
        var context = makeContext(c, deferrable: hook == MARTLET_HOOK_CLIENT_SUBSCRIBE)
        return withUnsafeMutablePointer(to: &topics) { topicsRef in
            context.topics = topicsRef
            return withUnsafeMutablePointer(to: &context) { context in
                event.ctx = UnsafeRawPointer(context)
                let result = fold(entries, from: start, &event, context)
                if result == .wait { c.pointee.replay!.pointee.keep(subs) }
                return result
            }
        }
    }

    /// message.publish: the message may be replaced or stopped. `message` becomes the replacement, and `owned` says
    /// that one reference of it is ours to release.
    func foldPublish(
        _ c: ConnectionRef?, _ s: SessionRef?, _ message: inout MessageRef, owned: inout Bool, skipping: UInt32 = .max
    ) -> FoldResult {
        let entries = chain(Int(MARTLET_HOOK_MESSAGE_PUBLISH))
        // What a plugin has answered counts also when it has been unloaded in the meantime.
        guard entries.count > 0 || c?.pointee.replay != nil else { return .go }
        let id = message.pointee.id
        var start = 0
        if let c, let answer = givenAnswer(c, .hook) {
            let next = position(after: answer, in: entries)
            if let replacement = answer.message ?? (next != nil ? c.pointee.replay!.pointee.message : nil) {
                // The replay keeps its reference until the packet is done.
                replacement.retain()
                swap(&message, &owned, replacement)
            }
            if answer.verdict == MARTLET_STOP { return .stop }
            start = next ?? 0
        }
        var event = makeEvent(Int(MARTLET_HOOK_MESSAGE_PUBLISH), c, s, message: message)
        var context = makeContext(c, deferrable: c != nil)
        let result = withUnsafeMutablePointer(to: &context) { context in
            event.ctx = UnsafeRawPointer(context)
            return fold(entries, from: start, &event, context, skipping: skipping)
        }
        if let replaced = event.msg.map({ MessageRef($0) }), replaced != message {
            swap(&message, &owned, replaced)
        }
        if result == .wait, let replay = c?.pointee.replay {
            replay.pointee.messageID = id
            if owned {
                message.retain()
                replay.pointee.keep(message)
            }
        }
        return result
    }

    private func swap(_ message: inout MessageRef, _ owned: inout Bool, _ new: MessageRef) {
        if owned { message.release() }
        message = new
        owned = true
    }

    private func fold(
        _ entries: UnsafeMutableBufferPointer<HookEntry>, from start: Int, _ event: inout martlet_event,
        _ context: UnsafeMutablePointer<CallContext>, skipping: UInt32 = .max
    ) -> FoldResult {
        let first = event.msg
        for i in start..<entries.count {
            let entry = entries.baseAddress! + i
            if entry.pointee.owner == skipping || !concerns(entry, event.msg) { continue }
            context.pointee.owner = entry.pointee.owner
            let before = event.msg
            let verdict = measured(entry) { entry.pointee.function(entry.pointee.user, &event) }
            if event.msg != before { settleMessage(&event, before, first) }
            if verdict == MARTLET_DEFER, context.pointee.deferral != 0 {
                openReplay(context.pointee.connection!, .hook, UnsafePointer(context), entry)
                return .wait
            }
            dropDeferral(context)
            if verdict == MARTLET_STOP { return .stop }
            if verdict != MARTLET_NEXT {
                (entry.pointee.cost + number).pointee.errors &+= 1
                broker.reportVerdict(owner: entry.pointee.owner, hook: Int(event.hook))
            }
        }
        return .go
    }

    /// A message hook is shown what the hooks before it have left; subscriptions have no filter.
    @inline(__always)
    private func concerns(_ entry: UnsafePointer<HookEntry>, _ message: OpaquePointer?) -> Bool {
        guard let message else { return true }
        return concerns(entry, MessageRef(message).pointee.topic, message)
    }

    /// A hook has put another message in place: that of the hook before it is not needed any more. `first` is the
    /// caller's; none: a hook of subscriptions, which is not asked about messages.
    private func settleMessage(_ event: inout martlet_event, _ before: OpaquePointer?, _ first: OpaquePointer?) {
        if event.msg == nil || first == nil {
            event.msg = before
        } else if let before, before != first {
            MessageRef(before).release()
        }
    }
}
