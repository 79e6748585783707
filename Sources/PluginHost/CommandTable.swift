// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// One line of a command's usage: `retainer info`, `Show the count of retained messages`.
public struct CommandUsage: Sendable, Equatable {
    public var synopsis: String
    public var help: String
    public init(_ synopsis: String, _ help: String) {
        self.synopsis = synopsis
        self.help = help
    }
}

/// Why a command failed.
public enum CommandFailure: Error, Sendable, Equatable {
    /// Wrong arguments: the command's usage is printed.
    case usage
    /// One sentence for standard error.
    case sentence(String)
}

/// One call of a command: its arguments and the place for its output.
public final class CommandCall {
    /// The first is the command's name. By convention UTF-8.
    public let arguments: [[UInt8]]
    public private(set) var output: [UInt8] = []
    /// Output beyond this is cut: a client that does not read must not fill memory.
    public let limit: Int
    public private(set) var isCut = false

    public init(_ arguments: [[UInt8]], limit: Int = 16 << 20) {
        self.arguments = arguments
        self.limit = limit
    }

    public func argument(_ index: Int) -> String? {
        index < arguments.count ? String(decoding: arguments[index], as: UTF8.self) : nil
    }

    /// The arguments after the command's name.
    public var words: [String] { arguments.dropFirst().map { String(decoding: $0, as: UTF8.self) } }

    /// False when there was no room, nor will be for more.
    @discardableResult
    public func print(_ text: String) -> Bool {
        write(text.utf8)
        return !isCut
    }

    public func write(_ bytes: some Collection<UInt8>) {
        guard !isCut, output.count + bytes.count <= limit else {
            isCut = true
            return
        }
        output += bytes
    }
}

/// The commands of martlet_ctl, built in and of plugins, in the order of registration. The control thread's.
public final class CommandTable {
    public typealias Handler = (CommandCall) throws(CommandFailure) -> Void

    public struct Command {
        public let name: String
        public let usage: [CommandUsage]
        /// nil: built in.
        public let plugin: String?
        let handler: Handler
        let token: martlet_token
    }

    public private(set) var commands: [Command] = []

    public init() {}

    /// A built-in command; false when the name is taken.
    @discardableResult
    public func register(_ name: String, _ usage: [CommandUsage], _ handler: @escaping Handler) -> Bool {
        guard find(name) == nil else { return false }
        commands.append(Command(name: name, usage: usage, plugin: nil, handler: handler, token: 0))
        return true
    }

    public func find(_ name: String) -> Command? { commands.first { $0.name == name } }

    func publish(_ command: Command) { commands.append(command) }

    func remove(_ token: martlet_token) { commands.removeAll { $0.token == token && $0.plugin != nil } }

    /// Puts a new image's commands where the old image's were, so that `help` keeps its order.
    func replace(_ old: martlet_token, by new: Command) {
        if let index = commands.firstIndex(where: { $0.token == old && $0.plugin != nil }) {
            commands[index] = new
        } else {
            commands.append(new)
        }
    }

    public func run(_ command: Command, _ call: CommandCall) throws(CommandFailure) { try command.handler(call) }
}
