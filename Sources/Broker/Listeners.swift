// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor

/// What the broker keeps of one listener: options that matter after accept, and counts.
struct ListenerState {
    var name: String
    var zone: Int
    var mountpoint: [UInt8]
    var current: UnsafeMutablePointer<Int64>
    var shutdowns: [String: Int] = [:]
    var maxConnections: Int
    var isOpen = true
}

/// How a listener hands clients to the broker. The sockets themselves belong to `Net`.
extension Broker {
    /// Announces a listener; the number goes with every connection it accepts.
    public func addListener(name: String, zone: Int, mountpoint: String, maxConnections: Int) -> UInt16 {
        state.withLock { state in
            let cell = UnsafeMutablePointer<Int64>.allocate(capacity: 8)
            cell.initialize(repeating: 0, count: 8)
            state.listeners.append(
                ListenerState(
                    name: name, zone: zone, mountpoint: Array(mountpoint.utf8), current: cell,
                    maxConnections: maxConnections))
            return UInt16(state.listeners.count - 1)
        }
    }

    /// [loop] A connected socket, accepted on this loop. Closed at once when the listener is full.
    public func accept(fd: Int32, address: UnsafePointer<sockaddr_storage>, listener: UInt16) {
        let (zone, full) = state.withLock { state -> (Int, Bool) in
            let l = state.listeners[Int(listener)]
            return (l.zone, cr_load_i64(l.current) >= Int64(l.maxConnections))
        }
        if full {
            countShutdown(listener, "maxlimit")
            close(fd)
            return
        }
        state.withLock { _ = cr_add_i64($0.listeners[Int(listener)].current, 1) }
        Shard.current.accept(fd: fd, peer: PeerAddress(address), listener: listener, zone: UnsafePointer(zones + zone))
    }

    func listenerClosed(_ listener: UInt16) {
        state.withLock { _ = cr_add_i64($0.listeners[Int(listener)].current, -1) }
    }

    func countShutdown(_ listener: UInt16, _ name: StaticString) {
        state.withLock { $0.listeners[Int(listener)].shutdowns["\(name)", default: 0] += 1 }
    }

    func mountpoint(listener: UInt16, zone: UnsafePointer<Zone>) -> [UInt8] {
        let own = state.withLock { $0.listeners[Int(listener)].mountpoint }
        return own.isEmpty ? Array(zone.pointee.mountpoint.utf8) : own
    }

    func listenerName(_ listener: UInt16) -> String { state.withLock { $0.listeners[Int(listener)].name } }

    /// Counts for `listeners`.
    public func listenerCounts(_ listener: UInt16) -> (current: Int, shutdowns: [String: Int]) {
        state.withLock { state in
            let l = state.listeners[Int(listener)]
            return (Int(cr_load_i64(l.current)), l.shutdowns)
        }
    }
}

extension PeerAddress {
    init(_ storage: UnsafePointer<sockaddr_storage>) {
        address = InlineArray(repeating: 0)
        let raw = UnsafeRawPointer(storage)
        if Int32(storage.pointee.ss_family) == AF_INET6 {
            isIPv6 = true
            let v6 = raw.assumingMemoryBound(to: sockaddr_in6.self)
            port = UInt16(bigEndian: v6.pointee.sin6_port)
            // sin6_addr: 16 bytes at offset 8.
            for i in 0..<16 { address[i] = raw.load(fromByteOffset: 8 + i, as: UInt8.self) }
            // ::ffff:a.b.c.d of a dual-stack listener is shown and matched as IPv4.
            if (0..<10).allSatisfy({ address[$0] == 0 }) && address[10] == 0xFF && address[11] == 0xFF {
                isIPv6 = false
                for i in 0..<4 { address[i] = address[12 + i] }
            }
        } else {
            isIPv6 = false
            let v4 = raw.assumingMemoryBound(to: sockaddr_in.self)
            port = UInt16(bigEndian: v4.pointee.sin_port)
            for i in 0..<4 { address[i] = raw.load(fromByteOffset: 4 + i, as: UInt8.self) }
        }
    }
}
