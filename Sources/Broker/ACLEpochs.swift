// SPDX-License-Identifier: Apache-2.0
import CReactor

/// How often cached ACL answers became worthless: a cached answer is good while the count of its client's place is what
/// it was when it was asked for. One for the broker, read by every loop and written by any thread, so that no answer of
/// before is given once `forget` has returned. Clients share the places; what one of them forgets the others ask anew.
struct ACLEpochs: Sendable {
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<UInt32>
    private static let count = 256

    /// The memory is never freed: loops may still read when the broker goes.
    init() {
        cells = .allocate(capacity: Self.count)
        cells.initialize(repeating: 1, count: Self.count)
    }

    /// Before the modules are asked: whoever forgets has changed what they go by before that, so a later count never goes
    /// with an earlier answer.
    /// - Parameter connection: its handle; slots of clients that came one after the other are neighbours.
    @inline(__always)
    subscript(connection: UInt64) -> UInt32 { cr_load_u32(cell(connection)) }

    func forget(_ connection: UInt64) { _ = cr_add_u32(cell(connection), 1) }

    func forgetAll() {
        for i in 0..<Self.count { _ = cr_add_u32(cells + i, 1) }
    }

    @inline(__always)
    private func cell(_ connection: UInt64) -> UnsafeMutablePointer<UInt32> {
        cells + Int(truncatingIfNeeded: connection) & (Self.count - 1)
    }
}
