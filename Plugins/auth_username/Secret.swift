// SPDX-License-Identifier: Apache-2.0
import CCrypto
import PluginKit

/// A copy of a password that is overwritten when its last user lets go. An array would not do: every copy of it that
/// Swift makes on the way would stay on the heap.
final class Secret {
    private let memory: UnsafeMutablePointer<UInt8>
    private let count: Int

    init(_ bytes: Bytes) {
        count = bytes.count
        memory = .allocate(capacity: max(count, 1))
        for index in 0..<count { (memory + index).initialize(to: bytes.at(index) ?? 0) }
    }
    deinit {
        OPENSSL_cleanse(memory, count)
        memory.deallocate()
    }
    var bytes: Bytes { Bytes(start: memory, count: count) }
}

/// Overwrites the array's memory; it must be the only one that holds it.
func wipe(_ secret: inout [UInt8]) {
    secret.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
}
