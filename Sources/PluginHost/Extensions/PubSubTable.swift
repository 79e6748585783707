// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Sessions

/// martlet.pubsub/1
nonisolated(unsafe) let pubsubTable = permanent(
    martlet_pubsub_v1(
        size: size(of: martlet_pubsub_v1.self),
        publish: { host, message, runHooks in
            let instance = instance(host)
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
                return try addToChain(instance, function, user, 0, filter) { $0.deliver.append($1) }
            }
        },
        unsubscribe: { host, token in removeFromChain(host, "pubsub.unsubscribe", token) },
        session_subscribe: { host, session, subscriptions, count in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard count > 0, count <= registrationLimit, readSized(subscriptions) != nil else { return statusInvalid }
            for index in 0..<count {
                guard let subscription = readSized(subscriptions + index), subscription.qos <= 2,
                    (try? chainFilter(subscription.topic, mayBeEmpty: false)) != nil
                else { return statusInvalid }
            }
            return instance.host.broker.subscribe(session: session, subscriptions, count)
        },
        session_deliver: { host, session, message, qos, retain in
            let instance = instance(host)
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
