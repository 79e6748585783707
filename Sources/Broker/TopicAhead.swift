// SPDX-License-Identifier: Apache-2.0
import Topics

/// The topic of the PUBLISH behind the one at work, and its hash. Where topics differ from message to message, what they
/// are looked up in is asked for a message ahead: each of those looks goes to memory that no cache is near.
struct TopicAhead {
    private var start: UnsafeRawPointer?
    private var end: UnsafeRawPointer?
    private var topic: Bytes = noBytes
    private var hash: UInt64 = 0

    /// Input that stays where it is until the next call.
    mutating func begin(_ input: UnsafeRawBufferPointer) {
        start = input.baseAddress
        end = start.map { $0 + input.count }
        topic = noBytes
    }

    /// What `look` found out about these very bytes.
    @inline(__always)
    func hash(of topic: Bytes) -> UInt64? {
        topic.baseAddress == self.topic.baseAddress && topic.count == self.topic.count ? hash : nil
    }

    /// The hash of the topic of the packet that begins at `next`.
    mutating func look(at next: UnsafeRawPointer, seed: UInt64) -> UInt64? {
        topic = noBytes
        guard let start, let end, next > start, next < end,
            let found = Self.topic(of: UnsafeRawBufferPointer(start: next, count: end - next))
        else { return nil }
        topic = found
        hash = Topics.hash(found, seed: seed)
        return hash
    }

    /// The topic of the PUBLISH at the beginning of `input`; nil: it is none, or its topic is empty or not here as a
    /// whole. Nothing is checked: that is done when it is its turn.
    static func topic(of input: UnsafeRawBufferPointer) -> Bytes? {
        guard input.count > 4, input[0] >> 4 == 3 else { return nil }
        var at = 1
        while at < 4, input[at] & 0x80 != 0 { at += 1 }
        at += 1
        guard at + 2 <= input.count else { return nil }
        let count = Int(input[at]) << 8 | Int(input[at + 1])
        at += 2
        guard count > 0, at + count <= input.count else { return nil }
        return Bytes(rebasing: input[at..<at + count])
    }
}
