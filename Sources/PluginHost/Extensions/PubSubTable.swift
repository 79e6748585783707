// SPDX-License-Identifier: Apache-2.0
import CMartlet
import MQTTCodec
import Sessions

/// martlet.pubsub/1
nonisolated(unsafe) let pubsubTable = permanent(
    martlet_pubsub_v1(
        size: size(of: martlet_pubsub_v1.self),
        publish: { host, message, runHooks in
            let instance = instance(host)
            guard isPresent(message) else { return statusInvalid }
            guard instance.phase != .gone else {
                MessageRef(message).release()
                return statusStale
            }
            return instance.host.broker.publish(MessageRef(message), runHooks: runHooks, skipping: instance.owner)
        },
        subscribe: { host, filter, qos, function, user, out in
            registering(host, "pubsub.subscribe", out) { instance throws(RegistrationError) in
                guard qos <= 2 else { throw RegistrationError(statusInvalid, "QoS \(qos) does not exist") }
                let filter = try chainFilter(filter, mayBeEmpty: false)
                guard !filter.starts(with: "$share/".utf8), !filter.starts(with: "$queue/".utf8) else {
                    throw RegistrationError(
                        statusInvalid, "a plugin's own subscription cannot be a shared one: it would never match")
                }
                return try addToChain(instance, function, user, 0, filter) { $0.deliver.append($1) }
            }
        },
        unsubscribe: { host, token in removeFromChain(host, "pubsub.unsubscribe", token) },
        session_subscribe: { host, session, subscriptions, count in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard let list = subscriptionList(subscriptions, count) else { return statusInvalid }
            return instance.host.broker.subscribe(session: session, list, list.count)
        },
        session_deliver: { host, session, message, qos, retain in
            let instance = instance(host)
            guard isPresent(message) else { return statusInvalid }
            guard instance.phase != .gone, qos <= 2 else {
                MessageRef(message).release()
                return qos <= 2 ? statusStale : statusInvalid
            }
            return instance.host.broker.deliver(MessageRef(message), to: session, qos: qos, retain: retain)
        },
        session_feed: { host, session, feed in
            let instance = instance(host)
            guard isLoopThread else { return instance.wrongThread("pubsub.session_feed", wanted: "the session's loop") }
            guard instance.phase == .running else { return instance.wrongPhase("pubsub.session_feed") }
            guard let checked = readSized(feed), checked.qos <= 2, isPresent(checked.next), isPresent(checked.end)
            else {
                return statusInvalid
            }
            return instance.host.broker.feed(session, feed, owner: instance.owner)
        }))

/// The subscriptions of an array whose elements are as long as the first one says: those of a plugin of a later minor
/// are longer than ours. Nil when one of them could not have come in a SUBSCRIBE. MQTT 5 §3.8.3, §4.8.2
private func subscriptionList(_ first: UnsafePointer<martlet_sub>, _ count: Int) -> [martlet_sub]? {
    guard (1...registrationLimit).contains(count), let stride = readSized(first)?.size else { return nil }
    var list: [martlet_sub] = []
    for index in 0..<count {
        let place = UnsafeRawPointer(first) + index * Int(stride)
        guard let sub = readSized(place.assumingMemoryBound(to: martlet_sub.self)), sub.size == stride, sub.qos <= 2,
            sub.retain_handling <= 2, sub.subscription_id <= 268_435_455,
            (try? chainFilter(sub.topic, mayBeEmpty: false)) != nil, let group = sub.share_group.buffer,
            isValidUTF8(group), !group.contains(where: { [0, 0x23, 0x2B, 0x2F].contains($0) }),
            group.isEmpty || !sub.no_local
        else { return nil }
        list.append(sub)
    }
    return list
}
