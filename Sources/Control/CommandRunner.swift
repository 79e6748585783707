// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import PluginHost

/// Turns one command line into the frames of its answer.
struct CommandRunner {
    private let commands: CommandTable
    private let log: HostLog

    init(_ commands: CommandTable, _ log: HostLog) {
        self.commands = commands
        self.log = log
    }

    func run(_ arguments: [[UInt8]], limit: Int) -> [UInt8] {
        let arguments = arguments.isEmpty ? [Array("help".utf8)] : arguments
        let word = String(decoding: arguments[0], as: UTF8.self)
        let name = ["--help", "-h"].contains(word) ? "help" : word
        guard let command = commands.find(name) else {
            let shown = String(name.prefix(64).filter { !$0.isNewline })
            return frames("", "there is no command \(shown).\n" + fullUsage(commands), status: 1)
        }
        let call = CommandCall(arguments, limit: limit)
        var complaint = ""
        do throws(CommandFailure) {
            try commands.run(command, call)
        } catch {
            switch error {
            case .usage: complaint = command.usage.map(usageLine).joined()
            case .sentence(let sentence): complaint = sentence.hasSuffix("\n") ? sentence : sentence + "\n"
            }
        }
        if call.isCut { complaint += "the output is longer than \(limit) bytes and was cut.\n" }
        return frames(call.output, complaint, status: complaint.isEmpty ? 0 : 1)
    }

    private func frames(_ output: String, _ complaint: String, status: UInt8) -> [UInt8] {
        frames(Array(output.utf8), complaint, status: status)
    }

    private func frames(_ output: [UInt8], _ complaint: String, status: UInt8) -> [UInt8] {
        CtlProtocol.frames(.output, output) + CtlProtocol.frames(.error, Array(complaint.utf8))
            + CtlProtocol.exit(status)
    }
}

/// `"~-48s# ~s~n"`; a longer synopsis keeps its distance.
func usageLine(_ usage: CommandUsage) -> String {
    "\(padded(usage.synopsis, 47)) # \(usage.help)\n"
}

/// EMQ's help: each command's lines below a line of 80 dashes, in the order of registration.
func fullUsage(_ commands: CommandTable) -> String {
    let dashes = String(repeating: "-", count: 80) + "\n"
    return "Usage: martlet_ctl\n"
        + commands.commands.filter { !$0.usage.isEmpty }.map { dashes + $0.usage.map(usageLine).joined() }.joined()
}

/// Left-aligned in `width` columns; longer texts stay whole.
func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}
