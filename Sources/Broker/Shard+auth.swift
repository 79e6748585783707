// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Authentication: the chain, deferred answers, and the AUTH packets of MQTT 5 §4.12.
extension Shard {
    func authenticate(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, _ flags: UInt8
    ) -> Step {
        var answer = AuthAnswer()
        let verdict = runAuth(c, connect, body, data: connect.authData?.bytes(in: body.baseAddress!), step: 0, &answer)
        return concludeConnect(c, connect, body, flags, verdict, answer)
    }

    private func concludeConnect(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, _ flags: UInt8,
        _ verdict: Int32?, _ answer: AuthAnswer
    ) -> Step {
        switch verdict {
        case nil: return .wait
        case Int32(MARTLET_ALLOW):
            // One step was enough; the method is named in CONNACK and may be used again.
            if connect.authMethod != nil { keepExchange(c, connect, body, flags) }
            return counted(.authAllowed, admit(c, connect, body, answer))
        case Int32(MARTLET_IGNORE):
            if connect.authMethod != nil {
                // [MQTT-4.12.0-1]
                refuseConnect(c, .badAuthenticationMethod)
                return .closed
            }
            guard isCertified(c) || anonymousAllowed(c) else {
                counters.count(.authDenied)
                let isNamed = givenUsername(c, connect, body.baseAddress!) != nil
                refuseConnect(
                    c,
                    isNamed
                        ? Refusal(.badUserNameOrPassword)
                        : Refusal(.notAuthorized, "The server does not let anonymous clients in from there."))
                return .closed
            }
            return counted(.authAllowed, admit(c, connect, body, nil))
        case Int32(MARTLET_CONTINUE) where connect.authMethod != nil:
            return beginExchange(c, connect, body, flags, answer)
        default:
            counters.count(.authDenied)
            refuse(c, answer, else: .badUserNameOrPassword)
            return .closed
        }
    }

    private func anonymousAllowed(_ c: ConnectionRef) -> Bool {
        switch c.pointee.zone.pointee.allowAnonymous {
        case .all: true
        case .loopback: c.pointee.peer.isLoopback
        case .none: false
        }
    }

    // MARK: - The chain

    /// Asks the modules in turn. Nil: one of them answers later.
    private func runAuth(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, data: Bytes?, step: UInt32,
        _ answer: inout AuthAnswer
    ) -> Int32? {
        let entries = chains.pointee.auth
        var start = 0
        if let given = givenAnswer(c, .auth) {
            if given.verdict != MARTLET_IGNORE {
                if let auth = given.auth { answer = auth.pointee }
                return given.verdict
            }
            start = position(after: given, in: entries) ?? 0
        }
        let base = body.baseAddress!
        var request = martlet_auth_req()
        request.size = UInt32(MemoryLayout<martlet_auth_req>.size)
        request.client = handle(c)
        request.clientid = wantedID(c, connect, base).c
        let username = givenUsername(c, connect, base)
        request.has_username = username != nil
        request.has_password = connect.hasPassword
        if let username { request.username = username.c }
        if connect.hasPassword { request.password = connect.password.bytes(in: base).c }
        if let method = connect.authMethod { request.auth_method = method.bytes(in: base).c }
        if let data { request.auth_data = data.c }
        request.step = step
        request.reauthenticate = c.pointee.flags.contains(.reauthenticating)
        var context = CallContext(
            kind: .auth, isDeferrable: true, shard: Unmanaged.passUnretained(self), connection: c, owner: 0,
            deferral: 0, topics: nil)
        return withPeerText(c.pointee.peer) { peer in
            request.peer = peer.c
            return withUnsafeMutablePointer(to: &context) { context in
                request.ctx = UnsafeRawPointer(context)
                return askAuth(entries, from: start, &request, context, &answer)
            }
        }
    }

    private func askAuth(
        _ entries: UnsafeMutableBufferPointer<AuthEntry>, from start: Int, _ request: inout martlet_auth_req,
        _ context: UnsafeMutablePointer<CallContext>, _ answer: inout AuthAnswer
    ) -> Int32? {
        var i = start
        while i < entries.count {
            let entry = entries.baseAddress! + i
            context.pointee.owner = entry.pointee.owner
            var result = martlet_auth_result()
            result.size = UInt32(MemoryLayout<martlet_auth_result>.size)
            let verdict = measured(entry) { entry.pointee.function(entry.pointee.user, &request, &result) }
            if verdict == MARTLET_PENDING, context.pointee.deferral != 0 {
                openReplay(context.pointee.connection!, .auth, context, entry)
                return nil
            }
            dropDeferral(context)
            if verdict != MARTLET_IGNORE {
                answer = AuthAnswer(result)
                guard verdict == MARTLET_ALLOW || verdict == MARTLET_DENY || verdict == MARTLET_CONTINUE else {
                    (entry.pointee.cost + number).pointee.errors &+= 1
                    broker.reportVerdict(owner: entry.pointee.owner, hook: -2, isError: verdict == MARTLET_ERROR)
                    return Int32(MARTLET_DENY)
                }
                return verdict
            }
            i += 1
        }
        return Int32(MARTLET_IGNORE)
    }

    // MARK: - Enhanced authentication

    private func beginExchange(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, _ flags: UInt8,
        _ answer: AuthAnswer
    ) -> Step {
        c.pointee.phase = .authenticating
        keepExchange(c, connect, body, flags)
        // [MQTT-4.12.0-2]
        return sendAuth(c, .continueAuthentication, answer)
    }

    private func keepExchange(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, _ flags: UInt8
    ) {
        // A CONNECT that waits for what the ACL says of its will comes here again.
        guard c.pointee.enhanced == nil else { return }
        c.pointee.enhanced = .allocate(capacity: 1)
        c.pointee.enhanced!.initialize(
            to: EnhancedAuth(
                method: ownBytes(connect.authMethod!.bytes(in: body.baseAddress!)), step: 1, connect: ownBytes(body),
                connectFlags: flags))
    }

    /// AUTH from the client: the next step of an exchange, or the beginning of a re-authentication.
    func handleAuth(_ c: ConnectionRef, _ packet: AuthPacket, _ body: UnsafeRawBufferPointer) -> Step {
        if let complaint = complaint(c, packet, body) {
            close(c, complaint.refusal, counted: complaint.counted)
            return .closed
        }
        let e = c.pointee.enhanced!
        let isReauthentication = c.pointee.phase == .connected
        if isReauthentication && !c.pointee.flags.contains(.reauthenticating) {
            c.pointee.flags.insert(.reauthenticating)
            e.pointee.step = 0
        }
        let connectBody = e.pointee.connect
        guard let connect = try? ConnectPacket.decode(connectBody, flags: e.pointee.connectFlags, version: .v5) else {
            return .closed
        }
        var answer = AuthAnswer()
        let verdict = runAuth(
            c, connect, connectBody, data: packet.data?.bytes(in: body.baseAddress!), step: e.pointee.step, &answer)
        guard let verdict else { return .wait }
        e.pointee.step += 1
        if isReauthentication { return concludeReauthentication(c, verdict, answer) }
        if verdict == MARTLET_CONTINUE { return sendAuth(c, .continueAuthentication, answer) }
        if verdict == MARTLET_ALLOW {
            return counted(.authAllowed, admit(c, connect, connectBody, answer))
        }
        counters.count(.authDenied)
        // [MQTT-4.12.0-4]
        refuse(c, answer, else: .notAuthorized)
        return .closed
    }

    /// What is wrong with an AUTH packet where and when it came.
    private func complaint(
        _ c: ConnectionRef, _ packet: AuthPacket, _ body: UnsafeRawBufferPointer
    ) -> (refusal: Refusal, counted: StaticString)? {
        // A CONNECT without a method excludes AUTH [MQTT-4.12.0-6]; every AUTH names a method, MQTT 5 §3.15.2.2.2.
        guard let e = c.pointee.enhanced, let method = packet.method else {
            return (Refusal(.protocolError, "AUTH needs the method that CONNECT named."), "auth_method")
        }
        // [MQTT-4.12.0-5] [MQTT-4.12.1-1]; 0x8C is a reason of CONNACK only.
        guard sameBytes(method.bytes(in: body.baseAddress!), e.pointee.method) else {
            let code = c.pointee.phase == .authenticating ? ReasonCode.badAuthenticationMethod : .protocolError
            return (Refusal(code, "The authentication method may not change."), "auth_method")
        }
        if c.pointee.phase == .connected && !c.pointee.flags.contains(.reauthenticating) {
            guard packet.reason == .reauthenticate else {
                let text: ReasonText = "No authentication is under way that this AUTH could go on with."
                return (Refusal(.protocolError, text), "auth_unexpected")
            }
        } else if packet.reason != .continueAuthentication, c.pointee.replay == nil {
            // [MQTT-4.12.0-3]
            let text: ReasonText = "An authentication is under way; AUTH must go on with it."
            return (Refusal(.protocolError, text), "auth_unexpected")
        }
        return nil
    }

    private func refuse(_ c: ConnectionRef, _ answer: AuthAnswer, else reason: ReasonCode) {
        answer.withRefusal(else: reason) { refuseConnect(c, $0) }
    }

    private func concludeReauthentication(_ c: ConnectionRef, _ verdict: Int32, _ answer: AuthAnswer) -> Step {
        switch verdict {
        case Int32(MARTLET_CONTINUE):
            return sendAuth(c, .continueAuthentication, answer)
        case Int32(MARTLET_ALLOW):
            c.pointee.flags.remove(.reauthenticating)
            if answer.superuser { c.pointee.flags.insert(.superuser) } else { c.pointee.flags.remove(.superuser) }
            return sendAuth(c, .success, answer)
        default:
            // [MQTT-4.12.1-2]
            answer.withRefusal(else: .notAuthorized) { close(c, $0, counted: "reauth_failed") }
            return .closed
        }
    }
}

extension AuthAnswer {
    init(_ result: martlet_auth_result) {
        superuser = result.superuser
        reason = result.reason_code
        username = Array(result.username.bytes)
        mountpoint = Array(result.mountpoint.bytes)
        data = Array(result.auth_data.bytes)
        let words = result.reason_string.bytes
        // What is no text is not sent, whoever wrote it. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
        if words.count > 0, words.count <= ReasonText.limit, isValidUTF8(words), !words.contains(0) {
            text = Array(words)
        }
    }

    /// The code and the words of a refusal; where the module gave none, `reason` and its own.
    func withRefusal(else given: ReasonCode, _ body: (Refusal) -> Void) {
        let code = reason >= 0x80 ? ReasonCode(rawValue: reason) : given
        ReasonText.with(text, else: code) { body(Refusal(code, $0)) }
    }
}
