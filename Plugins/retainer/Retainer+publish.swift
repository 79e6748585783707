// SPDX-License-Identifier: Apache-2.0
import PluginKit

extension Retainer {
    /// [loop] message.publish. Whatever comes out here, the message goes on to its subscribers.
    func onPublish(_ event: borrowing PublishEvent, _ store: Store, _ numbers: Numbers) {
        guard let message = event.raw.pointee.msg else { return }
        let fields = calls.read(message)
        let outcome: Store.Outcome?
        if fields.payload.len == 0 {
            outcome = TopicKey.with(fields.topic) { store.remove($0) }  // [MQTT-3.3.1-6], [MQTT-3.3.1-7]
        } else {
            outcome = keep(message, fields, store, numbers)  // [MQTT-3.3.1-5]
        }
        switch outcome {
        case .added, .removed: numbers.show(store)
        case .full:
            numbers.tableFull.add()
            complaints.tableFull(Bytes(fields.topic))
        case .replaced, .unchanged, .invalid, nil: break
        }
        pace.stir()
    }

    private func keep(
        _ message: OpaquePointer, _ fields: martlet_msg_fields, _ store: Store, _ numbers: Numbers
    ) -> Store.Outcome? {
        let limit = settings.payloadLimit
        if limit > 0, fields.payload.len > limit {
            numbers.tooBig.add()
            complaints.tooBig(Bytes(fields.topic), fields.payload.len)
            return nil
        }
        let deadline = deadline(of: fields)
        let count = settings.messageLimit
        // The closure holds no object: counting references of what all loops share would cost more than the rest.
        return TopicKey.with(fields.topic) { store.keep($0, message, deadline: deadline, limit: count) }
    }

    /// Unix time in milliseconds, 0: never. The message's own expiry goes first (MQTT 5 §3.3.2.3.3).
    private func deadline(of fields: martlet_msg_fields) -> Int64 {
        if fields.has_expiry { return later(fields.timestamp_ms, by: Int64(fields.expiry_s) * 1000) }
        let expiry = settings.defaultExpiry
        guard expiry > 0, !fields.sys, !Bytes(fields.topic).hasPrefix("$SYS/") else { return 0 }
        return later(fields.timestamp_ms == 0 ? Clock.unix : fields.timestamp_ms, by: expiry)
    }

    /// Another plugin may have given the message any time.
    private func later(_ time: Int64, by milliseconds: Int64) -> Int64 {
        let (end, isForEver) = time.addingReportingOverflow(milliseconds)
        return isForEver ? .max : end
    }
}
