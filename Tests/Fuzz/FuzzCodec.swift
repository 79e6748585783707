// SPDX-License-Identifier: Apache-2.0
// The codec under libFuzzer: built and run by tools/fuzz, together with the packet tables of the codec's tests.

import Glibc
import MQTTCodec

/// The first byte of an input picks version and sender, the rest is what a peer sends: packets until one is refused or
/// incomplete.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 1 else { return 0 }
    let (version, sender) = peer(start[0])
    var rest = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    var packets = 0
    do throws(DecodeError) {
        while packets < 64, try checkRoundTrip(rest, version, sender) != nil {
            guard let length = firstPacketLength(rest) else { return 0 }
            rest.removeFirst(length)
            packets += 1
        }
    } catch {
        precondition(error.reason.isFailure)
    }
    return 0
}

private func firstPacketLength(_ bytes: [UInt8]) -> Int? {
    try? readFixedHeader(bytes.span.bytes, maxPacketSize: .max)?.packetLength
}

/// Bits 0 and 1: 3.1, 3.1.1, 5; bit 2: the server sent it.
private func peer(_ byte: UInt8) -> (ProtocolVersion, PacketSender) {
    (ProtocolVersion(rawValue: 3 + byte % 4 % 3)!, byte & 0x04 == 0 ? .client : .server)
}

private func selector(_ version: ProtocolVersion, _ sender: PacketSender) -> UInt8 {
    version.rawValue - 3 | (sender == .server ? 0x04 : 0)
}

/// Writes every packet of the tables as a seed, when asked to by the environment, and ends.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzInitialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard let directory = getenv("FUZZ_WRITE_SEEDS") else { return 0 }
    let seeds =
        validVectors.map { [selector($0.version, $0.sender)] + $0.bytes }
        + invalidVectors.map { [selector($0.version, $0.sender)] + $0.bytes }
    writeSeeds(seeds, to: directory)
}
