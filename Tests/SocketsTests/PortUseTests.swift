// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Sockets

@Suite("Who has a port")
struct PortUseTests {
    @Test(
        "A line of the kernel's table tells the port of a socket that listens",
        arguments: [
            ("   0: 00000000:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2056", 1883),
            ("  12: 00000000000000000000000001000000:22B3 00000000000000000000000000000000:0000 0A 0:0 0:0 0", 8883),
            ("   1: 0100007F:075B 0100007F:C5BA 06 00000000:00000000 03:0000176D 00000000     0        0 0 3", nil),
            ("   1: 0100007F:075B 0100007F:C5BA 01 00000000:00000000 00:00000000 00000000     0        0 77", nil),
            ("", nil), ("sl local_address", nil),
        ] as [(String, UInt16?)])
    func lines(_ line: String, _ port: UInt16?) {
        #expect(PortUse.listener(line) == port)
    }

    @Test("A port is listened on while a socket listens there, and not when it is closed")
    func listening() throws {
        let address = try #require(SocketAddress("127.0.0.1:0"))
        let (fds, place) = try BoundSockets.open(address, .tcp(backlog: 1), count: 1)
        #expect(PortUse.isListenedOn(place.port))
        #expect(PortUse.reason(place.port) == "another program uses this address")
        for fd in fds { close(fd) }
        #expect(!PortUse.isListenedOn(place.port))
        #expect(PortUse.reason(place.port, shared: false).hasSuffix("of one that has ended, and reuseaddr is off"))
    }
}
