// SPDX-License-Identifier: Apache-2.0

/// Which `MARTLET__` variables a schema answers for, so that a plugin's file does not refuse the core's variables.
public enum EnvironmentScope: Sendable {
    /// Those below the levels that all keys of the schema share (`retainer`, `auth.mysql`): a plugin's file.
    case own
    /// All of them but those whose key begins with one of these levels (`auth.mysql`): the broker's own file.
    case all(except: [String])
}

extension Loader {
    /// `MARTLET__MQTT__MAX_PACKET_SIZE` (two underscores are a dot) sets any key; `MARTLET_NODE_NAME` sets the one
    /// declared key it can mean, and is left alone when there is none, for it may be somebody else's variable.
    mutating func takeEnvironment(_ environment: [String: String], scope: EnvironmentScope) {
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix("MARTLET_") {
            let source = ConfigSource.environment(variable: variable)
            if variable.hasPrefix("MARTLET__") {
                let name = keyName(ofVariable: variable)
                if let match = schema.resolve(name) {
                    take(name, text, from: source, known: match)
                } else if scope.covers(name, schema) {
                    unknown(name, source)
                }
            } else if let name = schema.shortVariable(String(variable.dropFirst("MARTLET_".utf8.count))) {
                take(name, text, from: source, known: nil)
            }
        }
    }
}

extension EnvironmentScope {
    func covers(_ name: String, _ schema: Schema) -> Bool {
        let levels = levelsOf(name)
        switch self {
        case .own:
            let common = schema.commonPrefix
            return !common.isEmpty && levels.starts(with: common)
        case .all(let foreign):
            return !foreign.contains { levels.starts(with: levelsOf($0)) }
        }
    }
}

/// `MARTLET__MQTT__MAX_PACKET_SIZE` → `mqtt.max_packet_size`.
func keyName(ofVariable variable: String) -> String {
    var name: [UInt8] = []
    let bytes = Array(variable.lowercased().utf8.dropFirst("MARTLET__".utf8.count))
    var index = 0
    while index < bytes.count {
        let isDot =
            bytes[index] == UInt8(ascii: "_") && index + 1 < bytes.count && bytes[index + 1] == UInt8(ascii: "_")
        name.append(isDot ? UInt8(ascii: ".") : bytes[index])
        index += isDot ? 2 : 1
    }
    return String(decoding: name, as: UTF8.self)
}
