// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Sessions
import Topics

/// What plugins ask of a shard, on its own thread.
extension Shard {
    /// One fact about a client; empty when there is none. The bytes live until the next call or the client's end.
    func field(_ c: ConnectionRef, _ field: Int32) -> Bytes {
        switch Int(field) {
        case Int(MARTLET_CL_CLIENTID): return c.pointee.session?.pointee.clientID ?? noBytes
        case Int(MARTLET_CL_USERNAME): return c.pointee.session?.pointee.username ?? noBytes
        case Int(MARTLET_CL_PEER): return withPeerText(c.pointee.peer) { keep($0) }
        case Int(MARTLET_CL_LISTENER): return keep(broker.listenerName(c.pointee.listener))
        case Int(MARTLET_CL_ZONE): return keep(c.pointee.zone.pointee.name)
        case Int(MARTLET_CL_MOUNTPOINT): return c.pointee.mountpoint
        case Int(MARTLET_CL_CERT_CN): return keep(c.pointee.transport.pointee.stack?.certificate?.commonName ?? "")
        case Int(MARTLET_CL_CERT_DN):
            return keep(c.pointee.transport.pointee.stack?.certificate?.distinguishedName ?? "")
        case Int(MARTLET_CL_PROTO_NAME): return keep(c.pointee.version == .v31 ? "MQIsdp" : "MQTT")
        case Int(MARTLET_CL_PROTO_VER): return keep("\(c.pointee.version.rawValue)")
        default: return noBytes
        }
    }

    private func keep(_ bytes: Bytes) -> Bytes {
        freeBytes(keptField)
        keptField = ownBytes(bytes)
        return keptField
    }

    private func keep(_ text: String) -> Bytes {
        var text = text
        return text.withUTF8 { keep(Bytes($0)) }
    }

    /// A message of the broker's or a plugin's own; takes over one reference.
    func publishOwned(_ message: MessageRef, runHooks: Bool, skipping owner: UInt32) {
        var current = message
        var owned = true
        defer { if owned { current.release() } }
        if runHooks, foldPublish(nil, nil, &current, owned: &owned, skipping: owner) != .go {
            return drop(current, .hook, for: nil)
        }
        _ = route(current, Topics.hash(current.pointee.topic, seed: table.seed), from: nil)
    }

    func deliverOne(_ message: MessageRef, to s: SessionRef, qos: UInt8, retain: Bool) {
        guard !message.pointee.isExpired(at: unixMS) else { return counters.count(.messagesExpired) }
        var template = Template()
        deliver(
            message, 0, to: s, Terms(qos: min(qos, message.pointee.qos), retain: retain), publisher: 0, &template,
            shared: false)
    }

    /// A subscription made on the client's behalf, with the hooks a client's own would run.
    func subscribe(_ s: SessionRef, _ sub: martlet_sub, _ topic: [UInt8], _ group: [UInt8]) {
        topic.withUnsafeBytes { topic in
            group.withUnsafeBytes { group in
                var sub = sub
                sub.topic = topic.c
                sub.share_group = group.c
                let subscribe = { (mounted: Bytes) in
                    sub.is_new = self.addSubscription(s, mounted, sub)
                    sub.topic = mounted.c
                    self.runSubscriptionHook(Int(MARTLET_HOOK_SESSION_SUBSCRIBED), s.pointee.connection, s, sub)
                }
                if let c = s.pointee.connection { withMounted(topic, c, subscribe) } else { subscribe(topic) }
            }
        }
    }
}
