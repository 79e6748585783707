// SPDX-License-Identifier: Apache-2.0

/// The named runs that brokers are compared by.
public enum Preset: String, CaseIterable, Sendable {
    case fanout, fanin, pairs
    case pairsQoS1 = "pairs-qos1"
    case pairsQoS2 = "pairs-qos2"
    case pairs4K = "pairs-4k"
    case pairsWeb = "pairs-ws"
    case fanoutWeb = "fanout-ws"
    case pairsTLS = "pairs-tls"
    case fanoutTLS = "fanout-tls"
    case rate
    case rateRandom = "rate-random"
    case rateMillisecond = "rate-ms"
    case conn
    case connWeb = "conn-ws"
    case connTLS = "conn-tls"
    case pairsWebTLS = "pairs-wss"
    case connWebTLS = "conn-wss"
    case retain, offline, wildcard

    public var settings: Settings {
        var settings: Settings
        switch self {
        case .fanout, .fanoutWeb, .fanoutTLS: settings = Settings(.fanout)
        case .fanin: settings = Settings(.fanin)
        case .pairs, .pairsQoS1, .pairsQoS2, .pairs4K, .pairsWeb, .pairsTLS, .pairsWebTLS, .rate, .rateRandom,
            .rateMillisecond:
            settings = Settings(.pairs)
        case .conn, .connWeb, .connTLS, .connWebTLS: settings = Settings(.conn)
        case .retain: settings = Settings(.retain)
        case .offline: settings = Settings(.offline)
        case .wildcard: settings = Settings(.wildcard)
        }
        switch self {
        case .pairsQoS1: settings.qos = 1
        case .pairsQoS2: (settings.qos, settings.publishers, settings.subscribers) = (2, 50, 50)
        case .pairs4K: settings.size = 4096
        case .rate, .rateRandom, .rateMillisecond: settings.rate = 20_000
        case .pairsWeb, .fanoutWeb, .connWeb: settings.transport = .ws
        case .pairsTLS, .fanoutTLS, .connTLS: settings.transport = .tls
        case .pairsWebTLS, .connWebTLS: settings.transport = .wss
        default: break
        }
        if self == .rateRandom { settings.beat = .random }
        if self == .rateMillisecond { settings.beat = .millisecond }
        return settings
    }

    /// Whether its messages can be counted one by one under callgrind.
    public var isCountable: Bool {
        switch self {
        case .fanout, .fanin, .pairs, .pairsQoS1, .pairsQoS2, .pairs4K, .pairsWeb, .fanoutWeb, .wildcard: true
        // Encryption is OpenSSL's, and counts of it say more about the processor than about the broker.
        case .pairsTLS, .fanoutTLS, .connTLS, .pairsWebTLS, .connWebTLS: false
        case .rate, .rateRandom, .rateMillisecond, .conn, .connWeb, .retain, .offline: false
        }
    }

    public static func named(_ names: [String], among all: [Preset] = allCases) throws -> [Preset] {
        guard !names.isEmpty else { return all }
        return try names.map { name in
            guard let preset = Preset(rawValue: name), all.contains(preset) else {
                let known = all.map(\.rawValue).joined(separator: ", ")
                throw BenchError("there is no run called \(name); there are \(known)")
            }
            return preset
        }
    }
}
