// SPDX-License-Identifier: Apache-2.0
import CLMDB
import PluginKit
import Synchronization

/// `plugins reload`: the new image takes over the store itself, by address.
///
/// While the old image still runs, both work on the same store under the same lock, so no retained message is lost in
/// between, none is copied, and a million of them change hands in no time. Both images must agree on the layout of the
/// store: `StoreState.layout` says so, and the sizes of its parts are compared as well. An image that changes the layout
/// has to convert the older one here; an older image refuses a newer layout, and the reload with it.
struct HandOver {
    var magic = Self.magicWord
    var process = UInt32(bitPattern: getpid())
    var layout = StoreState.layout
    var sizes = Self.sizesWord
    var store: UInt

    static var magicWord: UInt64 { 0x4d52_544c_5245_5431 }
    static var sizesWord: UInt64 {
        let sizes = [
            MemoryLayout<StoreState>.size, MemoryLayout<DiscState>.size, MemoryLayout<Item>.size,
            TreeNode.capacity, MemoryLayout<ParkedFeed>.size, MemoryLayout<Lane>.size,
        ]
        return sizes.reduce(0) { ($0 << 12) ^ UInt64($1) }
    }
}

extension HandOver {
    func write(to out: StateWriter) {
        var copy = self
        withUnsafeBytes(of: &copy) { out.write(Bytes(martlet_bytes($0))) }
    }

    /// The store behind what another image of this process wrote, with one more owner. Nil: it is of another kind.
    static func take(_ state: Bytes) -> UnsafeMutablePointer<StoreState>? {
        guard let start = state.start, state.count == MemoryLayout<HandOver>.size else { return nil }
        let given = UnsafeRawPointer(start).loadUnaligned(as: HandOver.self)
        guard given.magic == magicWord, given.process == UInt32(bitPattern: getpid()),
            given.layout == StoreState.layout, given.sizes == sizesWord,
            let store = UnsafeMutablePointer<StoreState>(bitPattern: given.store)
        else { return nil }
        store.pointee.owners.add(1, ordering: .relaxed)
        return store
    }
}
