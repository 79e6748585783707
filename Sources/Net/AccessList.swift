// SPDX-License-Identifier: Apache-2.0
import Broker

/// One rule of a listener's list. `listener.*.access.N`
public struct AccessRule: Sendable, Equatable {
    public var isAllowed: Bool
    /// 4 or 16 address bytes and the prefix length in bits; nil: everybody.
    public var network: Network?

    public struct Network: Sendable, Equatable {
        var bytes: [UInt8]
        var prefix: Int

        public init(bytes: [UInt8], prefix: Int) {
            let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
            // A peer of ::ffff:a.b.c.d is matched as IPv4, so a rule about such peers must be one about IPv4.
            let isMapped = bytes.count == 16 && prefix >= 96 && Array(bytes[..<12]) == mapped
            self.bytes = isMapped ? Array(bytes[12...]) : bytes
            self.prefix = isMapped ? prefix - 96 : prefix
        }

        func contains(_ peer: PeerAddress) -> Bool {
            guard peer.isIPv6 == (bytes.count == 16) else { return false }
            for i in 0..<(prefix / 8) where peer.address[i] != bytes[i] { return false }
            let bits = prefix % 8
            guard bits > 0 else { return true }
            let mask = UInt8.max << UInt8(8 - bits)
            return peer.address[prefix / 8] & mask == bytes[prefix / 8] & mask
        }
    }

    public init(isAllowed: Bool, network: Network?) {
        self.isAllowed = isAllowed
        self.network = network
    }
}

/// Rules in the order of their numbers: the first that fits decides, and where none fits the peer may connect.
public struct AccessList: Sendable {
    let rules: [AccessRule]

    public init(rules: [AccessRule]) { self.rules = rules }

    public func allows(_ peer: PeerAddress) -> Bool {
        rules.first { $0.network?.contains(peer) ?? true }?.isAllowed ?? true
    }
}
