// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// The host's message functions, bound to this plugin's host.
struct MessageCalls {
    let host: UnsafePointer<martlet_host>
    let table: UnsafePointer<martlet_message_v1>

    /// Fields borrowed from the message.
    func read(_ message: OpaquePointer) -> martlet_msg_fields {
        var fields = martlet_msg_fields()
        fields.size = UInt32(MemoryLayout<martlet_msg_fields>.size)
        table.pointee.read(message, &fields)
        return fields
    }

    func make(_ fields: martlet_msg_fields) -> OpaquePointer? {
        var fields = fields
        fields.size = UInt32(MemoryLayout<martlet_msg_fields>.size)
        return table.pointee.make(host, &fields)
    }

    @inline(__always)
    func retain(_ message: OpaquePointer) -> OpaquePointer { table.pointee.retain(message) }

    @inline(__always)
    func release(_ message: OpaquePointer) { table.pointee.release(message) }
}

extension martlet_bytes {
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(ptr: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), len: bytes.count)
    }

    var raw: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: ptr, count: ptr == nil ? 0 : len) }
}
