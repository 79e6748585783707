// SPDX-License-Identifier: Apache-2.0
import CMartlet
import MQTTCodec
import Sessions
import Topics

/// martlet.hooks/1
nonisolated(unsafe) let hooksTable = permanent(
    martlet_hooks_v1(
        size: size(of: martlet_hooks_v1.self),
        add: { host, hook, priority, function, filter, user, out in
            registering(host, "hooks.add", out) { instance throws(RegistrationError) in
                let retainOnly = hook & Int32(MARTLET_HOOK_RETAIN_ONLY) != 0
                let point = hook & ~Int32(MARTLET_HOOK_RETAIN_ONLY)
                guard (0..<Int32(MARTLET_HOOK_COUNT_V1)).contains(point) else {
                    throw RegistrationError(statusInvalid, "there is no hook point \(hook)")
                }
                guard !retainOnly || messageHooks.contains(point) else {
                    throw RegistrationError(statusInvalid, "\(hookNames[Int(point)]) has no message, retained or not")
                }
                let filter = try chainFilter(filter, mayBeEmpty: true)
                return try addToChain(instance, function, user, priority, filter, retainOnly) { chains, registration in
                    chains.hooks.append((Int(point), registration))
                }
            }
        },
        remove: { host, token in removeFromChain(host, "hooks.remove", token) },
        set_topic: { event, index, topic in
            guard let broker = currentBroker, isLoopThread else { return statusThread }
            // As a size_t `(size_t)-1` is large, here it is negative.
            guard index >= 0, index < event.pointee.nsubs, let bytes = topic.buffer, isValidFilter(bytes) else {
                return statusInvalid
            }
            return broker.setTopic(event, index, topic)
        },
        defer: { event, timeout in
            guard let broker = currentBroker, isLoopThread else { return 0 }
            return broker.makeDeferral(ctx: event.pointee.ctx, timeoutMS: timeout)
        },
        resume: { host, deferral, verdict, replacement in
            let instance = instance(host)
            let message = replacement.map { MessageRef($0) }
            guard instance.phase != .gone else {
                message?.release()
                return statusStale
            }
            guard verdict == Int32(MARTLET_NEXT) || verdict == Int32(MARTLET_STOP) else {
                message?.release()
                instance.complain("resumed a hook with the verdict \(verdict), which does not exist")
                return statusInvalid
            }
            return instance.host.broker.resumeHook(deferral, verdict: verdict, replacement: message)
        }))

private let messageHooks = Int32(MARTLET_HOOK_MESSAGE_PUBLISH)...Int32(MARTLET_HOOK_MESSAGE_DROPPED)

/// A topic filter for a chain entry, copied.
func chainFilter(_ filter: martlet_bytes, mayBeEmpty: Bool) throws(RegistrationError) -> [UInt8] {
    guard let bytes = filter.buffer, bytes.count <= maximumTopicLength else {
        throw RegistrationError(statusInvalid, "the topic filter is too long")
    }
    if bytes.isEmpty && mayBeEmpty { return [] }
    guard isValidFilter(bytes), isValidUTF8(bytes) else {
        throw RegistrationError(statusInvalid, "\"\(filter.line(limit: 80))\" is no valid topic filter")
    }
    return Array(bytes)
}

/// Adds a function to a chain; a running plugin's takes effect before this returns.
func addToChain<F>(
    _ instance: PluginInstance, _ function: F, _ user: UnsafeMutableRawPointer?, _ priority: Int32, _ filter: [UInt8],
    _ retainOnly: Bool = false, _ append: (inout ChainRegistrations, ChainRegistration<F>) -> Void
) throws(RegistrationError) -> martlet_token {
    guard isPresent(function) else { throw RegistrationError(statusInvalid, "the function is NULL") }
    guard instance.chains.count < registrationLimit else {
        throw RegistrationError(statusNoMemory, "\(registrationLimit) registrations are the limit")
    }
    let host = instance.host
    let registration = ChainRegistration(
        token: host.nextToken(), function: function, user: user, priority: priority, filter: filter,
        retainOnly: retainOnly, cost: CostCells(loops: host.broker.loopCount))
    append(&instance.chains, registration)
    if instance.phase == .running { host.publishChains() }
    return registration.token
}

/// Takes a function out of its chain; when this returns it runs nowhere any more.
func removeFromChain(_ host: HostPointer, _ function: StaticString, _ token: martlet_token) -> martlet_status {
    let instance = instance(host)
    guard isMainThread else { return instance.wrongThread(function, wanted: "the control thread") }
    // The counters of the entry must outlive the loops' last use of it.
    let before = instance.chains
    guard instance.chains.remove(token) else { return statusStale }
    if instance.phase == .running { instance.host.publishChains() }
    return withExtendedLifetime(before) { statusOK }
}
