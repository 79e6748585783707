// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Reads the head of a plugin's file before the dynamic linker does: its own messages name a private copy and assume
/// that one knows ELF, and a file that is cut short would end the process with SIGBUS.
extension PluginFile {
    func checkFormat() throws(PluginError) {
        let head = read(64, at: 0)
        guard head.count >= 4, Array(head[0..<4]) == [0x7F, 0x45, 0x4C, 0x46] else {
            throw bad("is not a shared library (it does not begin as an ELF file does).")
        }
        guard head.count == 64 else { throw bad("is cut short; copy it again.") }
        guard head[4] == 2, head[5] == 1 else {
            let width = head[4] == 1 ? "32-bit" : "big-endian"
            throw bad("is a \(width) library; this broker needs a 64-bit little-endian one for \(hostMachine.name).")
        }
        let machine = Int(number(head, 18, 2))
        guard machine == hostMachine.id else {
            throw bad(
                "was built for \(machineName(machine)), this broker runs on \(hostMachine.name); "
                    + "build it for this machine."
            )
        }
        guard number(head, 16, 2) == 3 else {
            throw bad(
                "is not a shared library (\(number(head, 16, 2) == 1 ? "an object file" : "a program")); "
                    + "link it with -shared."
            )
        }
        try checkSegments(head)
    }

    /// Libraries the file asks for, without loading it.
    func neededLibraries() -> [String] {
        let head = read(64, at: 0)
        guard head.count == 64 else { return [] }
        let segments = programHeaders(head)
        guard let dynamic = segments.first(where: { $0.type == 2 }), 0..<1 << 20 ~= dynamic.fileSize else { return [] }
        let table = read(dynamic.fileSize, at: dynamic.offset)
        var strings = 0
        var names: [Int] = []
        for at in stride(from: 0, to: table.count - 15, by: 16) {
            switch number(table, at, 8) {
            case 1: names.append(Int(truncatingIfNeeded: number(table, at + 8, 8)))
            case 5: strings = Int(truncatingIfNeeded: number(table, at + 8, 8))
            default: break
            }
        }
        guard strings >= 0,
            let home = segments.first(where: {
                $0.type == 1 && 0...strings ~= $0.address && strings - $0.address < $0.fileSize
            })
        else { return [] }
        return names.map { name in
            let bytes = read(256, at: home.offset &+ (strings - home.address) &+ name)
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private func checkSegments(_ head: [UInt8]) throws(PluginError) {
        let segments = programHeaders(head)
        guard segments.contains(where: { $0.type == 1 }) else { throw bad("holds nothing to load; copy it again.") }
        for segment in segments where segment.type == 1 || segment.type == 2 {
            let (end, overflow) = segment.offset.addingReportingOverflow(segment.fileSize)
            guard !overflow, segment.offset >= 0, segment.fileSize >= 0, end <= Int(status.st_size) else {
                throw bad("is cut short (\(status.st_size) bytes); copy it again.")
            }
        }
    }

    private struct Segment {
        var type: Int
        var offset: Int
        var address: Int
        var fileSize: Int
    }

    private func programHeaders(_ head: [UInt8]) -> [Segment] {
        let start = Int(truncatingIfNeeded: number(head, 32, 8))
        let size = Int(number(head, 54, 2))
        let count = Int(number(head, 56, 2))
        guard size >= 56, count <= 128, start > 0, start <= Int(status.st_size) else { return [] }
        let bytes = read(size * count, at: start)
        return stride(from: 0, to: max(0, bytes.count - 55), by: size).map { at in
            Segment(
                type: Int(number(bytes, at, 4)), offset: Int(truncatingIfNeeded: number(bytes, at + 8, 8)),
                address: Int(truncatingIfNeeded: number(bytes, at + 16, 8)),
                fileSize: Int(truncatingIfNeeded: number(bytes, at + 32, 8)))
        }
    }

    private func bad(_ what: String) -> PluginError { PluginError(.badFile, name, "\(path) \(what)") }
}

/// Little-endian.
private func number(_ bytes: [UInt8], _ at: Int, _ width: Int) -> UInt64 {
    guard at + width <= bytes.count else { return 0 }
    return bytes[at..<at + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

#if arch(x86_64)
    private let hostMachine = (id: 62, name: "x86-64")
#elseif arch(arm64)
    private let hostMachine = (id: 183, name: "aarch64")
#else
    #error("add this machine's ELF number")
#endif

private func machineName(_ id: Int) -> String {
    let names = [
        3: "i386", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 22: "s390", 40: "32-bit ARM", 62: "x86-64",
        183: "aarch64", 243: "RISC-V", 258: "LoongArch",
    ]
    return names[id] ?? "another machine (ELF number \(id))"
}
