// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization

/// Stands in for the broker's messages: one malloc'ed block each, counted, laid out about as the broker does.
enum FakeHost {
    /// Messages alive in this process.
    static let alive = Atomic<Int>(0)

    static var calls: MessageCalls { MessageCalls(host: UnsafePointer(host), table: UnsafePointer(table)) }

    private struct Header: ~Copyable {
        let references = Atomic<Int>(1)
        var fields: martlet_msg_fields
    }

    private nonisolated(unsafe) static let host: UnsafeMutablePointer<martlet_host> = .allocate(capacity: 1)
    private nonisolated(unsafe) static let table: UnsafeMutablePointer<martlet_message_v1> = {
        let table = UnsafeMutablePointer<martlet_message_v1>.allocate(capacity: 1)
        table.initialize(
            to: martlet_message_v1(
                size: UInt32(MemoryLayout<martlet_message_v1>.size),
                read: { message, out in out.pointee = FakeHost.header(message).pointee.fields },
                make: { _, fields in FakeHost.make(fields.pointee) },
                retain: { message in
                    FakeHost.header(message).pointee.references.add(1, ordering: .relaxed)
                    return message
                },
                release: { message in
                    let header = FakeHost.header(message)
                    guard header.pointee.references.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else {
                        return
                    }
                    header.deinitialize(count: 1)
                    free(UnsafeMutableRawPointer(header))
                    FakeHost.alive.subtract(1, ordering: .relaxed)
                }))
        return table
    }()

    private static func header(_ message: OpaquePointer) -> UnsafeMutablePointer<Header> {
        UnsafeMutablePointer(message)
    }

    private static func make(_ given: martlet_msg_fields) -> OpaquePointer {
        var fields = given
        let parts = [given.topic, given.payload, given.properties, given.from_clientid, given.from_username]
        let size = MemoryLayout<Header>.stride + parts.reduce(0) { $0 + $1.len }
        let raw = malloc(size)!
        var at = raw + MemoryLayout<Header>.stride
        func place(_ bytes: martlet_bytes) -> martlet_bytes {
            guard bytes.len > 0 else { return martlet_bytes() }
            memcpy(at, bytes.ptr!, bytes.len)
            defer { at += bytes.len }
            return martlet_bytes(ptr: at.assumingMemoryBound(to: UInt8.self), len: bytes.len)
        }
        fields.topic = place(given.topic)
        fields.payload = place(given.payload)
        fields.properties = place(given.properties)
        fields.from_clientid = place(given.from_clientid)
        fields.from_username = place(given.from_username)
        let header = raw.bindMemory(to: Header.self, capacity: 1)
        header.initialize(to: Header(fields: fields))
        alive.add(1, ordering: .relaxed)
        return OpaquePointer(header)
    }
}

extension String {
    /// Lends the bytes for the call.
    func lend<R>(_ body: (martlet_bytes) -> R) -> R {
        var copy = self
        return copy.withUTF8 { body(martlet_bytes(ptr: $0.baseAddress, len: $0.count)) }
    }

    func asKey<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R? {
        lend { TopicKey.with($0, body) }
    }

    init(_ bytes: martlet_bytes) {
        self.init(decoding: UnsafeBufferPointer(start: bytes.ptr, count: bytes.len), as: UTF8.self)
    }
}

extension MessageCalls {
    func make(
        _ topic: String, _ payload: String, qos: UInt8 = 0, timestamp: Int64 = 1_000, expiry: UInt32? = nil,
        properties: String = "", clientID: String = "", username: String = ""
    ) -> OpaquePointer {
        let parts = [topic, payload, properties, clientID, username].map { Array($0.utf8) }
        return parts[0].withUnsafeBufferPointer { topic in
            parts[1].withUnsafeBufferPointer { payload in
                parts[2].withUnsafeBufferPointer { properties in
                    parts[3].withUnsafeBufferPointer { clientID in
                        parts[4].withUnsafeBufferPointer { username in
                            var fields = martlet_msg_fields()
                            fields.topic = martlet_bytes(ptr: topic.baseAddress, len: topic.count)
                            fields.payload = martlet_bytes(ptr: payload.baseAddress, len: payload.count)
                            fields.properties = martlet_bytes(ptr: properties.baseAddress, len: properties.count)
                            fields.from_clientid = martlet_bytes(ptr: clientID.baseAddress, len: clientID.count)
                            fields.from_username = martlet_bytes(ptr: username.baseAddress, len: username.count)
                            fields.qos = qos
                            fields.retain = true
                            fields.timestamp_ms = timestamp
                            fields.has_expiry = expiry != nil
                            fields.expiry_s = expiry ?? 0
                            return make(fields)!
                        }
                    }
                }
            }
        }
    }
}

extension Store {
    @discardableResult
    func put(_ topic: String, _ payload: String, deadline: Int64 = 0, limit: Int = 0) -> Outcome {
        topic.asKey { put($0, messages.make(topic, payload), deadline: deadline, limit: limit) } ?? .invalid
    }

    @discardableResult
    func remove(_ topic: String) -> Outcome {
        topic.asKey { remove($0) } ?? .invalid
    }

    /// Everything a new subscription to `filter` would be fed, in order: (topic, payload).
    func matches(_ filter: String, now: Int64 = 0) -> [(topic: String, payload: String)] {
        guard var walk = filter.asKey({ MemoryWalk(self, filter: $0) }) else { return [] }
        defer { walk.free() }
        var found: [(String, String)] = []
        while true {
            switch walk.next(now: now) {
            case .message(let message):
                let fields = messages.read(message)
                found.append((String(fields.topic), String(fields.payload)))
                messages.release(message)
            case .pause: continue
            case .end: return found
            }
        }
    }
}

/// A small deterministic generator (SplitMix64), so that a failing run can be repeated.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
