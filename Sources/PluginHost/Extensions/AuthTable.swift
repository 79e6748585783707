// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.auth/1
nonisolated(unsafe) let authTable = permanent(
    martlet_auth_v1(
        size: size(of: martlet_auth_v1.self),
        add: { host, priority, function, user, out in
            registering(host, "auth.add", out) { instance throws(RegistrationError) in
                try addToChain(instance, function, user, priority, []) { $0.auth.append($1) }
            }
        },
        defer: { request, timeout in
            guard let broker = currentBroker, isLoopThread else { return 0 }
            return broker.makeDeferral(ctx: request.pointee.ctx, timeoutMS: timeout)
        },
        answer: { host, deferral, result in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard var answer = readSized(result, beforeGrowth: \.reason_string) else { return statusInvalid }
            let known = [MARTLET_IGNORE, MARTLET_ALLOW, MARTLET_DENY, MARTLET_ERROR, MARTLET_CONTINUE]
            guard known.contains(Int(answer.verdict)), answer.username.buffer != nil, answer.mountpoint.buffer != nil,
                answer.auth_data.buffer != nil, answer.reason_string.buffer != nil
            else {
                instance.complain(
                    "answered an authentication with the verdict \(answer.verdict) or bytes without a pointer")
                return statusInvalid
            }
            return instance.host.broker.answerAuth(deferral, &answer)
        }))

/// martlet.acl/1
nonisolated(unsafe) let aclTable = permanent(
    martlet_acl_v1(
        size: size(of: martlet_acl_v1.self),
        add: { host, priority, function, user, out in
            registering(host, "acl.add", out) { instance throws(RegistrationError) in
                try addToChain(instance, function, user, priority, []) { $0.acl.append($1) }
            }
        },
        defer: { request, timeout in
            guard let broker = currentBroker, isLoopThread else { return 0 }
            return broker.makeDeferral(ctx: request.pointee.ctx, timeoutMS: timeout)
        },
        answer: { host, deferral, verdict in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard [MARTLET_IGNORE, MARTLET_ALLOW, MARTLET_DENY, MARTLET_ERROR].contains(Int(verdict)) else {
                instance.complain("answered an access check with the verdict \(verdict), which does not exist")
                return statusInvalid
            }
            return instance.host.broker.answerACL(deferral, verdict: verdict)
        },
        invalidate: { host, client in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            return instance.host.broker.invalidateACL(client)
        },
        any_topic: { request in
            guard let broker = currentBroker, isLoopThread else { return statusState }
            return broker.setAnyTopic(ctx: request.pointee.ctx)
        }))
