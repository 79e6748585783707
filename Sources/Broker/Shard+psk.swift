// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Reactor
import Topics

extension Broker {
    /// [loop] The shared key of a TLS client, from the first module that knows its identity; nil: none does.
    public static func sharedKey(of identity: UnsafeRawBufferPointer) -> [UInt8]? {
        guard cr_current_loop() >= 0 else { return nil }
        return Shard.current.sharedKey(of: identity)
    }
}

extension Shard {
    fileprivate func sharedKey(of identity: Bytes) -> [UInt8]? {
        let entries = chains.pointee.psk
        for i in entries.indices {
            let entry = entries.baseAddress! + i
            var count = 0
            let key = [UInt8](unsafeUninitializedCapacity: Int(MARTLET_PSK_MAX_KEY)) { room, used in
                let answer = measured(entry) {
                    Int32(
                        clamping: entry.pointee.function(
                            entry.pointee.user, identity.c, room.baseAddress!, room.count))
                }
                count = Int(answer)
                used = count <= room.count ? count : 0
            }
            guard key.isEmpty else { return key }
            // Longer than its room: it wrote where it may not, or it did not write.
            if count > 0 { (entry.pointee.cost + number).pointee.errors &+= 1 }
        }
        return nil
    }
}
