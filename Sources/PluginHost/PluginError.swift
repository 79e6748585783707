// SPDX-License-Identifier: Apache-2.0

/// Why a plugin could not be loaded, unloaded or reloaded: one sentence for whoever typed the command.
public struct PluginError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        case alreadyStarted = "already_started"
        case notStarted = "not_started"
        case notFound = "not_found"
        /// Another plugin holds a service of this one.
        case inUse = "in_use"
        /// The file: permissions, format, machine, a library it misses.
        case badFile = "bad_file"
        /// The plugin line: ABI, id, a need that this broker does not offer.
        case badPlugin = "bad_plugin"
        case badConfig = "bad_config"
        /// The plugin's own create, start or import_state said no.
        case refused
        /// It was stopped but did not come to rest.
        case notAtRest = "not_at_rest"
        /// The broker's own files: loaded-plugins, private copies.
        case host
    }

    public let kind: Kind
    public let plugin: String
    /// What is wrong, where, and what to do; ends with a full stop.
    public let sentence: String

    public init(_ kind: Kind, _ plugin: String, _ sentence: String) {
        self.kind = kind
        self.plugin = plugin
        self.sentence = sentence
    }

    public var description: String { sentence }
}
