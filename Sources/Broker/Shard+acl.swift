// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

extension Shard {
    enum Permission {
        case allowed, denied, wait
    }

    /// May this client publish to, or subscribe, this topic? Superusers may all; a cached answer costs no call.
    /// - Parameter filter: which one of a SUBSCRIBE.
    @inline(__always)
    func permission(
        _ c: ConnectionRef, _ topic: Bytes, hash: UInt64, action: UInt8, qos: UInt8, retain: Bool, filter: Int = 0
    ) -> Permission {
        guard c.pointee.zone.pointee.enableACL, !c.pointee.flags.contains(.superuser) else { return .allowed }
        // What a module has answered counts also when it has been unloaded in the meantime.
        guard chains.pointee.acl.count > 0 || c.pointee.replay != nil else {
            return c.pointee.zone.pointee.aclNomatchAllows ? .allowed : .denied
        }
        if action == MARTLET_ACL_PUBLISH, c.pointee.flags.contains(.aclForAnyTopic),
            let isAllowed = answerForAnyTopic(c)
        {
            return isAllowed ? .allowed : .denied
        }
        return askACL(c, topic, hash, action, qos, retain, filter)
    }

    /// What the ACL said of all the client may publish to; nil: it is to be asked again.
    @inline(__always)
    private func answerForAnyTopic(_ c: ConnectionRef) -> Bool? {
        let connection = handle(c)
        let key = ACLCache.Key(
            connection: connection, hash: ACLCache.anyTopic, check: 0, action: UInt8(MARTLET_ACL_PUBLISH),
            epoch: aclEpochs[connection])
        guard c.pointee.zone.pointee.cacheACL, let isAllowed = aclCache.find(key, now: now) else { return nil }
        countCheck(c, 0, isHit: true)
        return isAllowed
    }

    /// Once for each decision, however often its packet is looked at.
    @inline(__always)
    private func countCheck(_ c: ConnectionRef, _ filter: Int, isHit: Bool) {
        if let replay = c.pointee.replay {
            guard filter >= replay.pointee.decided else { return }
            replay.pointee.decided = filter + 1
        }
        counters.count(.aclChecks)
        if isHit { counters.count(.aclCacheHits) }
    }

    @inline(never)
    private func askACL(
        _ c: ConnectionRef, _ topic: Bytes, _ hash: UInt64, _ action: UInt8, _ qos: UInt8, _ retain: Bool,
        _ filter: Int
    ) -> Permission {
        let zone = c.pointee.zone
        if action == MARTLET_ACL_PUBLISH { c.pointee.flags.remove(.aclForAnyTopic) }
        let check = UInt32(truncatingIfNeeded: topic.count) &* 31 &+ UInt32(topic[topic.count - 1])
        let connection = handle(c)
        // Read before the modules are asked: an answer that was forgotten while it was given is worthless.
        var key = ACLCache.Key(
            connection: connection, hash: hash != 0 ? hash : Topics.hash(topic, seed: table.seed), check: check,
            action: action, epoch: aclEpochs[connection])
        if zone.pointee.cacheACL, let isAllowed = aclCache.find(key, now: now) {
            countCheck(c, filter, isHit: true)
            return isAllowed ? .allowed : .denied
        }
        let s = c.pointee.session!
        let ids = (s.pointee.clientID, s.pointee.username)
        guard let answer = runACL(c, ids.0, ids.1, topic, action, qos, retain, filter: filter) else {
            if c.pointee.replay!.pointee.aclEpoch == nil { c.pointee.replay!.pointee.aclEpoch = key.epoch }
            return .wait
        }
        countCheck(c, filter, isHit: false)
        let allowed = isAllowed(answer.verdict, zone)
        // That nobody could decide, or not in time, holds for this packet alone.
        if zone.pointee.cacheACL, answer.verdict != MARTLET_ERROR {
            if answer.isForAnyTopic, action == MARTLET_ACL_PUBLISH {
                (key.hash, key.check) = (ACLCache.anyTopic, 0)
                c.pointee.flags.insert(.aclForAnyTopic)
            }
            if let epoch = c.pointee.replay?.pointee.aclEpoch { key.epoch = epoch }
            aclCache.insert(key, isAllowed: allowed, now: now, ttl: zone.pointee.aclCacheTTL)
        }
        return allowed ? .allowed : .denied
    }

    private func isAllowed(_ verdict: Int32, _ zone: UnsafePointer<Zone>) -> Bool {
        verdict == MARTLET_ALLOW || verdict == MARTLET_IGNORE && zone.pointee.aclNomatchAllows
    }

    /// The will's topic is checked with CONNECT, while a module may still take its time: at the end of the connection
    /// nobody could wait for the answer.
    func willPermission(_ c: ConnectionRef, _ connect: ConnectPacket, _ base: UnsafeRawPointer, _ auth: AuthAnswer?)
        -> Permission
    {
        guard let will = connect.will, c.pointee.zone.pointee.enableACL, auth?.superuser != true else {
            return .allowed
        }
        var username = givenUsername(c, connect, base) ?? noBytes
        return (auth?.username ?? []).withUnsafeBytes { replaced in
            if replaced.count > 0 { username = replaced }
            let answer = runACL(
                c, wantedID(c, connect, base), username, will.topic.bytes(in: base),
                UInt8(MARTLET_ACL_PUBLISH), will.qos, will.retain)
            guard let answer else { return .wait }
            return isAllowed(answer.verdict, c.pointee.zone) ? .allowed : .denied
        }
    }

    /// The chain's verdict, and whether it would be the same for each topic; nil: a module answers later.
    private func runACL(
        _ c: ConnectionRef, _ clientID: Bytes, _ username: Bytes, _ topic: Bytes, _ action: UInt8, _ qos: UInt8,
        _ retain: Bool, filter: Int = 0
    ) -> (verdict: Int32, isForAnyTopic: Bool)? {
        let entries = chains.pointee.acl
        var start = 0
        let question = Replay.Question.acl(filter)
        if let answer = givenAnswer(c, question) {
            if answer.verdict != MARTLET_IGNORE { return (answer.verdict, false) }
            start = position(after: answer, in: entries) ?? 0
        }
        var request = martlet_acl_req()
        request.size = UInt32(MemoryLayout<martlet_acl_req>.size)
        request.client = handle(c)
        request.clientid = clientID.c
        request.username = username.c
        request.topic = topic.c
        request.action = action
        request.qos = qos
        request.retain = retain
        var context = CallContext(
            kind: .acl, isDeferrable: true, shard: Unmanaged.passUnretained(self), connection: c, owner: 0,
            deferral: 0, topics: nil)
        return withPeerText(c.pointee.peer) { peer in
            request.peer = peer.c
            return withUnsafeMutablePointer(to: &context) { context in
                request.ctx = UnsafeRawPointer(context)
                guard let verdict = askModules(entries, from: start, question, &request, context) else { return nil }
                return (verdict, context.pointee.isForAnyTopic)
            }
        }
    }

    /// Leaves in the context whether no module had to look at the topic.
    private func askModules(
        _ entries: UnsafeMutableBufferPointer<ACLEntry>, from start: Int, _ question: Replay.Question,
        _ request: inout martlet_acl_req, _ context: UnsafeMutablePointer<CallContext>
    ) -> Int32? {
        var i = start
        // Of modules whose answer came later nothing is known.
        var isForAnyTopic = start == 0
        defer { context.pointee.isForAnyTopic = isForAnyTopic }
        while i < entries.count {
            let entry = entries.baseAddress! + i
            context.pointee.owner = entry.pointee.owner
            context.pointee.isForAnyTopic = false
            let verdict = measured(entry) { entry.pointee.function(entry.pointee.user, &request) }
            if !context.pointee.isForAnyTopic { isForAnyTopic = false }
            if verdict == MARTLET_PENDING, context.pointee.deferral != 0 {
                openReplay(context.pointee.connection!, question, context, entry)
                return nil
            }
            dropDeferral(context)
            if verdict == MARTLET_ALLOW || verdict == MARTLET_DENY { return verdict }
            if verdict != MARTLET_IGNORE {
                isForAnyTopic = false
                (entry.pointee.cost + number).pointee.errors &+= 1
                broker.reportVerdict(owner: entry.pointee.owner, hook: -1, isError: verdict == MARTLET_ERROR)
                return Int32(MARTLET_ERROR)
            }
            i += 1
        }
        return Int32(MARTLET_IGNORE)
    }
}
