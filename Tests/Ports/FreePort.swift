// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

private let next = Atomic<Int>(20_000 + Int(getpid()) % 500 * 20)

/// A loopback port that nobody listens on and no other test of this process is given. Below the ports the kernel gives
/// to connecting sockets: one of those must not take it between two openings of the same listener. A program that is
/// started meanwhile does not inherit the probe, which would hold the port.
public func freePort() -> UInt16 {
    while true {
        let port = UInt16(20_000 + (next.add(1, ordering: .relaxed).newValue - 20_000) % 12_000)
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(probe, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if bound == 0 { return port }
    }
}
