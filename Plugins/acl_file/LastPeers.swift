// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The address each loop was asked about last. A client's messages come in runs and its address is always the same, so
/// its text is compared with the last one's instead of being read again. Each loop has a place of its own: nobody waits
/// for anybody, and nothing has to be forgotten when a client goes. A plain value: loops would contend for a count of
/// its references.
struct LastPeers {
    private struct Place {
        /// Of the text; 0: none yet.
        var count = 0
        var address: IPAddress?
    }
    /// Bytes of text that are kept; a longer one is read each time.
    private static var longest: Int { 64 }
    /// From one loop's text, which its place follows, to the next one's: no cache line belongs to two loops.
    private static var stride: Int { 128 }
    private let memory: UnsafeMutableRawPointer
    private let loops: Int
    private let exec: Exec

    init(_ exec: Exec) {
        self.exec = exec
        loops = Int(exec.loopCount)
        memory = .allocate(byteCount: Swift.max(loops, 1) * Self.stride, alignment: 64)
        for loop in 0..<loops {
            (memory + loop * Self.stride + Self.longest).bindMemory(to: Place.self, capacity: 1).initialize(to: Place())
        }
    }
    /// When no loop asks any more.
    func deallocate() { memory.deallocate() }

    /// [loop] The same as `IPAddress(peer:)`.
    func address(_ peer: Bytes) -> IPAddress? {
        guard let start = peer.start, peer.count <= Self.longest, let loop = exec.loopIndex, loop < loops
        else { return IPAddress(peer: peer) }
        let text = memory + loop * Self.stride
        let place = (text + Self.longest).assumingMemoryBound(to: Place.self)
        let last = Bytes(start: UnsafePointer(text.assumingMemoryBound(to: UInt8.self)), count: place.pointee.count)
        if place.pointee.count > 0 && last == peer { return place.pointee.address }
        let address = IPAddress(peer: peer)
        text.copyMemory(from: start, byteCount: peer.count)
        place.pointee = Place(count: peer.count, address: address)
        return address
    }
}
