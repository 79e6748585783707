// SPDX-License-Identifier: Apache-2.0
import Foundation

@testable import Config

/// A schema with one key of each kind.
let sampleSchema = Schema([
    ConfigKey("node.name", .string, default: "n@h", help: ""),
    ConfigKey("mqtt.max_packet_size", .bytes(64...1 << 28), default: "1MB", help: ""),
    ConfigKey("mqtt.session.max_inflight", .int(0...65_535), default: "32", help: ""),
    ConfigKey(
        "mqtt.idle_timeout", .duration(100...Int.max), default: "15s", aliases: ["mqtt.client.idle_timeout"], help: ""),
    ConfigKey("mqtt.retain_available", .bool, default: "on", help: ""),
    ConfigKey("mqtt.low", .percent, default: "20%", help: ""),
    ConfigKey(
        "mqtt.strategy", .enumeration(["random", "round_robin"]), default: "random",
        words: ["round_robbin": "round_robin"], help: ""),
    ConfigKey("node.loops", .int(0...256), default: "auto", words: ["auto": "0"], help: ""),
    ConfigKey("auth.password", .string, flags: .secret, help: ""),
    ConfigKey("auth.rounds", .int(1...9), flags: .secret, help: ""),
    ConfigKey("node.cookie", .string, noEffect: "there is no cookie", help: ""),
    ConfigKey("data.dir", .path, default: "data", help: ""),
    ConfigKey("zone.*.max_inflight", .int(0...65_535), inherits: "mqtt.session.max_inflight", help: ""),
    ConfigKey("listener.tcp.*", .address, help: ""),
    ConfigKey(
        "listener.tcp.*.max_connections", .count, default: "9", aliases: ["listener.tcp.*.max_clients"], help: ""),
    ConfigKey("listener.tcp.*.access.*", .accessRule, help: ""),
])

func check(_ text: String, schema: Schema = sampleSchema, environment: [String: String] = [:]) -> ConfigLoad {
    ConfigFile.check(Array(text.utf8), path: "m.conf", schema: schema, environment: environment, root: "/opt/martlet")
}

/// The one complaint about a text.
func complaint(_ text: String, environment: [String: String] = [:]) -> String {
    let load = check(text, environment: environment)
    return load.diagnostics.map(\.description).joined(separator: "\n")
}

/// A folder that is gone when the test is over.
final class TemporaryFolder {
    let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = URL(filePath: path).appending(path: name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
        return file.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The top of the source tree.
let sourceTree = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
