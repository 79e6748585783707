// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// From a message to its receivers.
extension Shard {
    /// Delivers on this shard, hands over to the others, picks share members: all that subscribe to it [MQTT-4.5.0-1].
    /// True when anybody was to get it.
    /// - Parameters:
    ///   - hash: of the topic; 0: it is computed where it is needed.
    ///   - from: the connection that published, for holding it back.
    ///   - receipt: what `from` is owed. It is sent before the message, so that a client that subscribes to what it
    ///     publishes has its PUBACK or PUBREC in hand before its own copy.
    ///   - own: the session No Local is about, when it is not that connection's: a will outlives its connection.
    func route(
        _ message: MessageRef, _ hash: UInt64, from c: ConnectionRef?, own: SessionRef? = nil,
        receipt: Receipt = .none
    ) -> Bool {
        let publisher = c.map { handle($0) } ?? 0
        let differs = c.map { $0.pointee.flags.contains(.topicsDiffer) } ?? false
        var hash = hash
        let r = findRoute(message.pointee.topic, &hash, ofMany: differs ? publisher : 0)
        let clue = TopicClue(r, differs: differs)
        let plugins = chains.pointee.deliver
        if plugins.count > 0 { deliverToPlugins(plugins, message) }
        if let c { acknowledge(c, receipt, matched: !r.pointee.isEmpty) }
        guard !r.pointee.isEmpty else {
            drop(message, .noSubscriber, for: nil)
            return false
        }
        let own = own ?? c?.pointee.session
        if r.pointee.remote != 0, message.pointee.travelsUncopied, !maySendLent(message, r) {
            // One copy for all loops.
            let kept = message.own()
            send(kept, hash, r, from: c, own: own, publisher: publisher, clue: clue)
            kept.release()
        } else {
            send(message, hash, r, from: c, own: own, publisher: publisher, clue: clue)
        }
        return true
    }

    @inline(__always)
    private func send(
        _ message: MessageRef, _ hash: UInt64, _ r: RouteRef, from c: ConnectionRef?, own: SessionRef?,
        publisher: UInt64, clue: TopicClue
    ) {
        if r.pointee.targetCount > 0 { deliverAll(r, message, hash, own: own, publisher: publisher) }
        if r.pointee.remote != 0 {
            var remote = r.pointee.remote
            while remote != 0 {
                let i = remote.trailingZeroBitCount
                remote &= remote - 1
                send(message, hash, to: i, publisher: publisher, clue: clue)
            }
        }
        guard r.pointee.groupCount > 0 else { return }
        let hash = hash != 0 ? hash : Topics.hash(message.pointee.topic, seed: table.seed)
        for i in 0..<r.pointee.groupCount {
            dispatchShared(r.groups[i], message, hash, publisher: publisher)
        }
    }

    /// - Parameters:
    ///   - hash: of the topic; 0: it is put there if it is needed.
    ///   - publisher: who it comes from, if its topics differ from message to message, or 0.
    /// - Returns: a route that is valid until the next one is asked for.
    @inline(__always)
    func findRoute(_ topic: Bytes, _ hash: inout UInt64, ofMany publisher: UInt64) -> RouteRef {
        if publisher != 0 {
            let all = cr_load_u64(table.epochs + FilterTable.all) &+ ownEpochs[FilterTable.all]
            if let r = patterns.find(publisher, topic, epoch: all) { return r }
        }
        if hash == 0 { hash = Topics.hash(topic, seed: table.seed) }
        let bucket = Int(truncatingIfNeeded: hash) & (FilterTable.buckets - 1)
        let epoch =
            cr_load_u64(table.epochs + bucket) &+ cr_load_u64(table.epochs + FilterTable.buckets)
            &+ ownEpochs[bucket] &+ ownEpochs[FilterTable.buckets]
        if let r = routes.find(topic, hash, epoch: epoch) { return r }
        return makeRoute(topic, hash, epoch, ofMany: publisher)
    }

    @inline(never)
    private func makeRoute(
        _ topic: Bytes, _ hash: UInt64, _ epoch: UInt64, ofMany publisher: UInt64
    ) -> RouteRef {
        if let r = routes.revive(topic, hash, epoch: epoch) { return r }
        let all = cr_load_u64(table.epochs + FilterTable.all)
        collect(topic)
        if publisher != 0, patterns.isWorthKeeping(publisher, nodes.scopeKey),
            let pattern = TopicPattern(topic, matchedInto: nodes)
        {
            let route = builder.build(topic: topic, hash: hash, epoch: all &+ ownEpochs[FilterTable.all])
            patterns.insert(publisher, pattern, route)
            return route
        }
        let isKept = routes.isWorthKeeping(hash)
        let route = builder.build(topic: topic, hash: hash, epoch: epoch, isKept: isKept)
        if isKept {
            routes.insert(route)
        } else if nodes.count == 1, nodes[0] <= TopicClue.greatestNode {
            (route.pointee.node, route.pointee.epoch) = (nodes[0], all)
        }
        return route
    }

    /// The route to a topic of which another loop has found out what it matches; nil: that may not be so any more. It is
    /// valid until the next one is asked for.
    func locatedRoute(_ topic: Bytes, _ hash: UInt64, _ clue: TopicClue) -> RouteRef? {
        builder.begin()
        let isKnown = table.read(number) { _, values in
            // Nobody moves it meanwhile: who changes a filter has all locks.
            guard clue.isOf(epoch: cr_load_u64(table.epochs + FilterTable.all)) else { return false }
            collect(values[clue.node].pointee)
            return true
        }
        guard isKnown else { return nil }
        return builder.build(topic: topic, hash: hash, epoch: 0, isKept: false)
    }

    /// Gives the builder all that subscribe to a filter.
    @inline(__always)
    private func collect(_ value: FilterValue) {
        builder.add(remote: value.shards & ~(1 << UInt64(number)))
        if let list = FilterTable.list(value, number) {
            for j in 0..<Int(list.pointee.count) { builder.add(list.pointee.entries![j]) }
        }
        var group = value.firstGroup
        while group != 0 {
            builder.add(group: group)
            group = table.groups.next(after: group)
        }
    }

    /// Gives the builder all that subscribe to the topic.
    private func collect(_ topic: Bytes) {
        builder.begin()
        nodes.removeAll()
        table.read(number) { trie, values in
            // [MQTT-3.3.2-3]
            trie.match(topic, into: &nodes)
            for i in 0..<nodes.count { collect(values[nodes[i]].pointee) }
        }
    }

    private func deliverToPlugins(_ entries: UnsafeMutableBufferPointer<DeliverEntry>, _ message: MessageRef) {
        for i in 0..<entries.count {
            let entry = entries.baseAddress! + i
            guard matches(filter: entry.pointee.filter, topic: message.pointee.topic) else { continue }
            _ = measured(entry) {
                entry.pointee.function(entry.pointee.user, OpaquePointer(message), entry.pointee.filter.c)
                return 0
            }
        }
    }

    // MARK: - To other shards

    /// Copies a small message into the chunk for `target`; a large one goes as a reference.
    func send(
        _ message: MessageRef, _ hash: UInt64, to target: Int, publisher: UInt64,
        clue: TopicClue = .none,
        directed: Parcel.Direction? = nil
    ) {
        if message.pointee.payloadSize >= Shard.lendFrom, let block = lender(message.pointee),
            sendLent(message, block, hash, to: target, publisher: publisher, clue: clue, directed: directed)
        {
            return
        }
        let isUncopied = message.pointee.travelsUncopied
        let size = Parcel.bytes(for: isUncopied ? 0 : message.pointee.footprint)
        let chunk = chunk(for: target, size)
        let parcel = chunk.add(size, hash, publisher: publisher, clue: clue, directed: directed)
        if isUncopied {
            parcel.pointee.shared = message.own()
            chunk.pointee.referred += message.pointee.footprint
        } else {
            message.placed(at: parcel.message)
        }
        if chunk.pointee.referred > Chunk.referredLimit { pushOutgoing(target) }
        if cr_load_relaxed_i64(peers[target].waiting) > inboxLimit {
            holdForInbox(publisher)
        }
    }

    /// A small one for the first messages of a tick, large ones for those that do not fit it any more.
    @inline(__always)
    func chunk(for target: Int, _ size: Int) -> UnsafeMutablePointer<Chunk> {
        let before = outgoing[target]
        if let before {
            if before.pointee.used + size <= before.pointee.room { return before }
            pushOutgoing(target)
        }
        let chunk = chunkPool.take(small: before == nil && size <= Chunk.smallSize / 2)
        outgoing[target] = chunk
        return chunk
    }

    /// Every parcel of a chunk, in order.
    func receive(_ chunk: UnsafeMutablePointer<Chunk>) {
        // In the order they were sent in. [MQTT-4.6.0-5]
        var at = UnsafeMutableRawPointer(chunk) + MemoryLayout<Chunk>.stride
        for i in 0..<chunk.pointee.count {
            let parcel = at.assumingMemoryBound(to: Parcel.self)
            if i + 1 < chunk.pointee.count {
                let next = (at + Int(parcel.pointee.size)).assumingMemoryBound(to: Parcel.self)
                if next.pointee.kind.contains(.topicsDiffer) { patterns.prefetch(next.pointee.publisher) }
                if next.pointee.hash != 0, !next.pointee.kind.contains(.located) { routes.prefetch(next.pointee.hash) }
            }
            if let shared = parcel.pointee.shared {
                deliver(shared, parcel)
                shared.release()
            } else if parcel.pointee.kind.contains(.lent) {
                receiveLent(parcel)
            } else {
                deliver(parcel.message, parcel)
            }
            at += Int(parcel.pointee.size)
        }
        guard chunk.pointee.referred > 0 else { return }
        chunk.pointee.letGo()
        inbox.done(chunk.pointee.referred)
        chunk.pointee.referred = 0
    }

    func deliver(_ message: MessageRef, _ parcel: UnsafeMutablePointer<Parcel>) {
        if parcel.pointee.kind.contains(.directed) {
            deliverDirected(message, parcel)
        } else {
            let (r, hash) = findRoute(message.pointee.topic, of: parcel)
            deliverAll(r, message, hash, own: nil, publisher: parcel.pointee.publisher)
        }
    }

    @inline(__always)
    private func findRoute(_ topic: Bytes, of parcel: UnsafeMutablePointer<Parcel>) -> (RouteRef, UInt64) {
        let kind = parcel.pointee.kind
        var hash = parcel.pointee.hash
        if kind.contains(.located), let r = locatedRoute(topic, hash, TopicClue(parcel.pointee.session)) {
            return (r, hash)
        }
        let r = findRoute(topic, &hash, ofMany: kind.contains(.topicsDiffer) ? parcel.pointee.publisher : 0)
        return (r, hash)
    }

    // MARK: - Dropping

    /// Counts and reports a message that goes nowhere, or not to this session.
    func drop(_ message: MessageRef, _ reason: DropReason, for s: SessionRef?) {
        if message.pointee.flags.contains(.sys) && reason == .noSubscriber { return }
        counters.count(.messagesDropped)
        counters.count(Shard.metric(reason))
        if let s { s.pointee.dropped += 1 }
        runMessageHook(
            Int(MARTLET_HOOK_MESSAGE_DROPPED), s?.pointee.connection, s, message, code: Int32(reason.rawValue))
    }

    private static func metric(_ reason: DropReason) -> Metric {
        switch reason {
        case .noSubscriber: .droppedNoSubscriber
        case .hook: .droppedHook
        case .denied: .droppedDenied
        case .queueFull: .droppedQueueFull
        case .qos0Queue: .droppedQoS0Queue
        case .slow: .droppedSlow
        case .tooLarge: .droppedTooLarge
        case .expired: .droppedExpired
        case .sessionEnd: .droppedSessionEnd
        }
    }
}
