// SPDX-License-Identifier: Apache-2.0
// The opening handshake and the frames of WebSocket under libFuzzer: built and run by tools/fuzz. What comes in one
// piece must mean the same as what comes in two, and nothing may be touched that was not given.

import Glibc
import WebSocket

/// The first byte picks request or frames, the second where the rest is cut.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 2 else { return 0 }
    let rest = Array(UnsafeBufferPointer(start: start + 2, count: count - 2))
    let cut = min(rest.count, Int(start[1]) * rest.count / 255)
    if start[0] & 1 == 0 {
        precondition(request(rest, cuts: []) == request(rest, cuts: [cut]))
    } else {
        precondition(frames(rest, cuts: []) == frames(rest, cuts: [cut]))
    }
    return 0
}

private func pieces(_ bytes: [UInt8], _ cuts: [Int]) -> [[UInt8]] {
    zip([0] + cuts, cuts + [bytes.count]).map { Array(bytes[$0..<$1]) }
}

/// The answer, and the bytes that were left alone.
private func request(_ bytes: [UInt8], cuts: [Int]) -> [UInt8] {
    var terms = UpgradeTerms()
    terms.addressHeader = "X-Forwarded-For"
    terms.portHeader = "X-Forwarded-Port"
    terms.origins = ["https://a.example"]
    var upgrade = Upgrade(terms)
    var used = 0
    for piece in pieces(bytes, cuts) {
        let (count, outcome) = piece.withUnsafeBytes { upgrade.take($0) }
        precondition(count <= piece.count)
        used += count
        switch outcome {
        case .partial: precondition(count == piece.count)
        case .accepted(let acceptance):
            let peer = acceptance.forwarded.map { "\($0.address) \($0.port)" } ?? ""
            return acceptance.answer + Array(peer.utf8) + Array("\(used)".utf8)
        case .refused(let refusal): return refusal.answer
        }
    }
    return []
}

/// Payload and events in their order.
private func frames(_ bytes: [UInt8], cuts: [Int]) -> [String] {
    var decoder = FrameDecoder()
    var payload: [UInt8] = []
    var seen: [String] = []
    for var piece in pieces(bytes, cuts) {
        var at = 0
        while at < piece.count {
            let step = piece.withUnsafeMutableBytes { piece in
                let rest = UnsafeMutableRawBufferPointer(rebasing: piece[at...])
                let step = decoder.decode(rest)
                payload += rest[step.payload]
                return step
            }
            precondition(step.consumed > 0)
            at += step.consumed
            guard step.event != .none else { continue }
            seen.append("\(payload.count) \(payload.reduce(0) { $0 &* 31 &+ Int($1) }) \(step.event)")
            if case .failed = step.event { return seen }
        }
    }
    return seen + ["\(payload.count) \(payload.reduce(0) { $0 &* 31 &+ Int($1) })"]
}

/// Writes a few seeds, when asked to by the environment, and ends.
@_cdecl("LLVMFuzzerInitialize")
public func fuzzInitialize(_ count: UnsafeMutableRawPointer?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard let directory = getenv("FUZZ_WRITE_SEEDS") else { return 0 }
    let head =
        "GET /mqtt?x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, websocket\r\nConnection: keep-alive, Upgrade\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Protocol: chat, mqtt\r\nX-Forwarded-For: [2001:db8::7]:4711, 10.0.0.1\r\n"
        + "X-Forwarded-Port: 99\r\nOrigin: https://a.example\r\nContent-Length: 0\r\n\r\n"
    let mask: [UInt8] = [1, 2, 3, 4]
    let stream: [[UInt8]] = [
        [0x82, 0x85] + mask + [5, 4, 3, 2, 1], [0x02, 0x80] + mask, [0x89, 0x82] + mask + [9, 9],
        [0x00, 0xFE, 0, 126] + mask + [UInt8](repeating: 7, count: 126), [0x80, 0x81] + mask + [1],
        [0x8A, 0x80] + mask,
        [0x88, 0x85] + mask + [2, 0xEA, 0x61, 0x62, 0x63],
    ]
    let seeds = [[0, 80] + Array(head.utf8), [1, 90] + stream.joined()] + stream.map { [1, 128] + $0 }
    writeSeeds(seeds, to: directory)
}
