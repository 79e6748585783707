// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.client/1
nonisolated(unsafe) let clientTable = permanent(
    martlet_client_v1(
        size: size(of: martlet_client_v1.self),
        get: { host, client, field, out in
            let instance = instance(host)
            guard isLoopThread else { return instance.wrongThread("client.get", wanted: "the client's loop") }
            let status = instance.host.broker.clientField(client, field, out)
            return status == statusThread ? instance.wrongThread("client.get", wanted: "the client's loop") : status
        },
        copy: { host, client, field, destination, capacity in
            let instance = instance(host)
            guard instance.phase != .gone, !waitsInVain(instance) else { return 0 }
            return instance.host.broker.copyClientField(
                client, field, destination, destination == nil ? 0 : room(capacity))
        },
        kick: { host, client, reason in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            return instance.host.broker.kick(client, reason: reason)
        },
        by_clientid: { host, clientID in
            let instance = instance(host)
            guard !isLoopThread else {
                _ = instance.wrongThread("client.by_clientid", wanted: "any thread but a loop")
                return 0
            }
            guard instance.phase != .gone, clientID.buffer != nil, !waitsInVain(instance) else { return 0 }
            return instance.host.broker.client(withID: clientID)
        }))

/// These functions, and a log line about a client, wait for a loop, and while a reload hands over state all loops wait
/// for the control thread.
func waitsInVain(_ instance: PluginInstance) -> Bool { isMainThread && instance.host.areLoopsPaused }
