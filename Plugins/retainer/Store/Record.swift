// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB

/// A retained message as bytes, version 1. Numbers are little-endian:
///
///     0  u8   version            24 u64  message id, high     52 u16  topic (0: the key says it)
///     1  u8   flags              32 u64  message id, low      54 u16  0
///     2  u16  0                  40 u32  payload              56      topic, payload, properties,
///     4  u32  check              44 u32  properties                   client id, user name
///     8  i64  timestamp, ms      48 u16  client id
///     16 i64  deadline, ms       50 u16  user name
///
/// The check covers everything from byte 8 on. The deadline is Unix time, 0 when the message never expires.
struct Record {
    var fields: martlet_msg_fields
    var deadline: Int64

    static let version: UInt8 = 1
    static let headerSize = 56

    private enum Flag {
        static let qos: UInt8 = 3
        static let hasExpiry: UInt8 = 4
        static let sys: UInt8 = 8
    }

    /// Bytes that `encode` will write. `withTopic`: the key does not hold the topic.
    func size(withTopic: Bool) -> Int {
        Record.headerSize + (withTopic ? fields.topic.len : 0) + fields.payload.len + fields.properties.len
            + fields.from_clientid.len + fields.from_username.len
    }

    func encode(to out: UnsafeMutableRawBufferPointer, withTopic: Bool) {
        let flags =
            (fields.qos & Flag.qos) | (fields.has_expiry ? Flag.hasExpiry : 0) | (fields.sys ? Flag.sys : 0)
        out.storeBytes(of: Record.version, toByteOffset: 0, as: UInt8.self)
        out.storeBytes(of: flags, toByteOffset: 1, as: UInt8.self)
        store(UInt16(0), 2, out)
        store(fields.timestamp_ms, 8, out)
        store(deadline, 16, out)
        store(fields.id_hi, 24, out)
        store(fields.id_lo, 32, out)
        store(UInt32(truncatingIfNeeded: fields.payload.len), 40, out)
        store(UInt32(truncatingIfNeeded: fields.properties.len), 44, out)
        store(UInt16(truncatingIfNeeded: fields.from_clientid.len), 48, out)
        store(UInt16(truncatingIfNeeded: fields.from_username.len), 50, out)
        store(UInt16(truncatingIfNeeded: withTopic ? fields.topic.len : 0), 52, out)
        store(UInt16(0), 54, out)
        var offset = Record.headerSize
        if withTopic { append(fields.topic, &offset, out) }
        append(fields.payload, &offset, out)
        append(fields.properties, &offset, out)
        append(fields.from_clientid, &offset, out)
        append(fields.from_username, &offset, out)
        store(Record.check(UnsafeRawBufferPointer(out)), 4, out)
    }

    /// Borrows from `bytes`. The topic stays empty when the record has none. Nil: this is no intact record.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Record.headerSize, bytes[0] == Record.version,
            Record.load(bytes, 4, as: UInt32.self) == Record.check(bytes)
        else { return nil }
        fields = martlet_msg_fields()
        fields.qos = bytes[1] & Flag.qos
        fields.has_expiry = bytes[1] & Flag.hasExpiry != 0
        fields.sys = bytes[1] & Flag.sys != 0
        fields.retain = true
        fields.timestamp_ms = Record.load(bytes, 8, as: Int64.self)
        deadline = Record.load(bytes, 16, as: Int64.self)
        if fields.has_expiry { fields.expiry_s = Record.interval(from: fields.timestamp_ms, to: deadline) }
        fields.id_hi = Record.load(bytes, 24, as: UInt64.self)
        fields.id_lo = Record.load(bytes, 32, as: UInt64.self)
        let payload = Int(Record.load(bytes, 40, as: UInt32.self))
        let properties = Int(Record.load(bytes, 44, as: UInt32.self))
        let clientid = Int(Record.load(bytes, 48, as: UInt16.self))
        let username = Int(Record.load(bytes, 50, as: UInt16.self))
        let topic = Int(Record.load(bytes, 52, as: UInt16.self))
        guard fields.qos < 3,
            Record.headerSize + topic + payload + properties + clientid + username == bytes.count
        else { return nil }
        var offset = Record.headerSize
        fields.topic = Record.take(topic, &offset, bytes)
        fields.payload = Record.take(payload, &offset, bytes)
        fields.properties = Record.take(properties, &offset, bytes)
        fields.from_clientid = Record.take(clientid, &offset, bytes)
        fields.from_username = Record.take(username, &offset, bytes)
    }

    init(_ fields: martlet_msg_fields, deadline: Int64) {
        self.fields = fields
        self.deadline = deadline
    }

    /// The message expiry interval as it was at `timestamp`, in seconds.
    private static func interval(from timestamp: Int64, to deadline: Int64) -> UInt32 {
        let (distance, overflow) = deadline.subtractingReportingOverflow(timestamp)
        return overflow || distance < 0 ? 0 : UInt32(clamping: distance / 1000)
    }

    private static func check(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let covered = UnsafeRawBufferPointer(rebasing: bytes[8...])
        return UInt32(truncatingIfNeeded: SipHash.hash(covered, key: UInt64(bytes[0]), UInt64(bytes[1])))
    }

    private static func load<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ at: Int, as: T.Type) -> T {
        T(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: T.self))
    }

    private func store<T: FixedWidthInteger>(_ value: T, _ at: Int, _ out: UnsafeMutableRawBufferPointer) {
        out.storeBytes(of: value.littleEndian, toByteOffset: at, as: T.self)
    }

    private static func take(_ count: Int, _ offset: inout Int, _ bytes: UnsafeRawBufferPointer) -> martlet_bytes {
        defer { offset += count }
        return martlet_bytes(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
    }

    private func append(_ bytes: martlet_bytes, _ offset: inout Int, _ out: UnsafeMutableRawBufferPointer) {
        guard bytes.len > 0, let from = bytes.ptr, let base = out.baseAddress else { return }
        memcpy(base + offset, from, bytes.len)
        offset += bytes.len
    }
}
