// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Who has a TCP port on this machine when it cannot be bound.
///
/// Connections that a broker has closed keep its port for a minute after it has ended (TIME_WAIT). Sockets of ours may
/// share it with them if that broker allowed it, by SO_REUSEADDR or SO_REUSEPORT; a socket that probes with one of the
/// two is refused by those who allowed only the other.
public enum PortUse {
    /// Somebody accepts connections there, on one of the machine's addresses at least. Also true when the kernel does
    /// not tell.
    public static func isListenedOn(_ port: UInt16) -> Bool {
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].compactMap { (name: String) in fopen(name, "re") }
        defer { for table in tables { fclose(table) } }
        return tables.isEmpty || tables.contains { listeners(in: $0, on: port) }
    }

    /// Why a port cannot be bound that is in use, to be read after "it could not be bound: ".
    /// - Parameter shared: whether the socket that was refused allows connections of before beside it.
    public static func reason(_ port: UInt16, shared: Bool = true) -> String {
        guard !isListenedOn(port) else { return anotherProgram }
        return "nobody listens there, but connections hold this address, another program's or, for up to a minute, "
            + "those of one that has ended" + (shared ? "" : ", and reuseaddr is off")
    }

    static let anotherProgram = "another program uses this address"

    /// The kernel lists sockets that listen before all others.
    private static func listeners(in table: UnsafeMutablePointer<FILE>, on port: UInt16) -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { line in
            func next() -> Bool { fgets(line.baseAddress, Int32(line.count), table) != nil }
            // The first names the columns.
            guard next() else { return false }
            while next() {
                guard let found = listener(String(cString: line.baseAddress!)) else { return false }
                if found == port { return true }
            }
            return false
        }
    }

    /// The port of a line `0: 0100007F:075B 00000000:0000 0A …`; nil: this socket does not listen.
    static func listener(_ line: String) -> UInt16? {
        let fields = line.split(separator: " ", maxSplits: 4)
        guard fields.count == 5, fields[3] == "0A", let port = fields[1].split(separator: ":").last else { return nil }
        return UInt16(port, radix: 16)
    }
}
