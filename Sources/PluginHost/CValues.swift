// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc

/// A C string of a plugin; nil when the pointer is NULL, whatever the header promises, or longer than `limit`.
func cText(_ pointer: UnsafePointer<CChar>, limit: Int) -> String? {
    guard Int(bitPattern: pointer) != 0 else { return nil }
    let length = strnlen(pointer, limit + 1)
    guard length <= limit else { return nil }
    return String(decoding: UnsafeRawBufferPointer(start: pointer, count: length), as: UTF8.self)
}

/// A capacity that C gives as size_t: "as much as there is", `(size_t)-1`, is negative here.
func room(_ capacity: Int) -> Int { capacity < 0 ? .max : capacity }

/// Whether a function pointer that the header calls non-null really is one.
func isPresent<F>(_ function: F) -> Bool {
    unsafeBitCast(function, to: Int.self) != 0
}

extension martlet_bytes {
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(ptr: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), len: bytes.count)
    }

    /// nil when a length comes without a pointer, or is one that no memory has: `(size_t)-1` is negative here.
    var buffer: UnsafeRawBufferPointer? {
        if len == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard len > 0 else { return nil }
        return ptr.map { UnsafeRawBufferPointer(start: $0, count: len) }
    }

    /// The bytes as text for a name or a log line.
    func line(limit: Int = maxLineBytes) -> String { buffer.map { oneLine($0, limit: limit) } ?? "" }
}

/// Reads a struct that begins with its size; nil when it is smaller than revision 1 of its kind, which is what T is.
func readSized<T>(_ pointer: UnsafePointer<T>) -> T? {
    guard Int(bitPattern: pointer) != 0 else { return nil }
    let size = Int(UnsafeRawPointer(pointer).load(as: UInt32.self))
    return size >= MemoryLayout<T>.size && size <= 65536 ? pointer.pointee : nil
}

/// The same for a struct that has grown: one of an older plugin ends before `added`, whose fields are zero then.
func readSized<T>(_ pointer: UnsafePointer<T>, beforeGrowth added: PartialKeyPath<T>) -> T? {
    guard Int(bitPattern: pointer) != 0, let first = MemoryLayout<T>.offset(of: added) else { return nil }
    let size = Int(UnsafeRawPointer(pointer).load(as: UInt32.self))
    guard size >= first, size <= 65536 else { return nil }
    return withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { room in
        let raw = UnsafeMutableRawPointer(room.baseAddress!)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<T>.size)
        raw.copyMemory(from: pointer, byteCount: min(size, MemoryLayout<T>.size))
        return room[0]
    }
}

/// Writes a struct that begins with its size, as far as the receiver knows it; its `size` stays what it was.
func writeSized<T>(_ value: T, to pointer: UnsafeMutablePointer<T>) {
    let size = Int(UnsafeRawPointer(pointer).load(as: UInt32.self))
    withUnsafeBytes(of: value) { bytes in
        let count = min(size, bytes.count)
        guard count > 4 else { return }
        (UnsafeMutableRawPointer(pointer) + 4).copyMemory(from: bytes.baseAddress! + 4, byteCount: count - 4)
    }
}
