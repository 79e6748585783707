// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Calls `body` with the first bytes of a file, as the kernel's own come in one read. Nil when it cannot be read, as while
/// clients have all descriptors.
func withStart<R>(of path: String, most: Int, _ body: (Slice<UnsafeMutableRawBufferPointer>) -> R) -> R? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: most, alignment: 1) { buffer in
        let count = read(file, buffer.baseAddress, most)
        return count < 0 ? nil : body(buffer[..<count])
    }
}
