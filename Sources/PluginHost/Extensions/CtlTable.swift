// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.ctl/1
nonisolated(unsafe) let ctlTable = permanent(
    martlet_ctl_v1(
        size: size(of: martlet_ctl_v1.self),
        command: { host, name, usage, count, function, user, out in
            registering(host, "ctl.command", out) { instance throws(RegistrationError) in
                try addCommand(instance, try registeredName(name, limit: 64), usage, count, function, user)
            }
        }))

private func addCommand(
    _ instance: PluginInstance, _ name: String, _ usage: UnsafePointer<martlet_ctl_usage>, _ count: Int,
    _ function: martlet_ctl_fn, _ user: UnsafeMutableRawPointer?
) throws(RegistrationError) -> martlet_token {
    let host = instance.host
    guard isPresent(function), (0...256).contains(count), count == 0 || Int(bitPattern: usage) != 0 else {
        throw RegistrationError(statusInvalid, "the function or the usage of \(name) is NULL")
    }
    if let there = host.commands.find(name), there.plugin == nil || there.plugin != instance.predecessor?.name {
        throw RegistrationError(statusExists, "the command \(name) belongs to \(there.plugin ?? "the broker")")
    }
    guard !instance.commands.values.contains(where: { $0.name == name }) else {
        throw RegistrationError(statusExists, "the command \(name) is registered twice")
    }
    let lines = (0..<count).map { index in
        CommandUsage(cText(usage[index].synopsis, limit: 512) ?? name, cText(usage[index].help, limit: 512) ?? "")
    }
    let call = PluginCommand(function: function, user: user)
    let command = CommandTable.Command(
        name: name, usage: lines, plugin: instance.name,
        handler: { [unowned instance] arguments throws(CommandFailure) in try call.run(arguments, instance) },
        token: host.nextToken())
    instance.commands[command.token] = command
    if instance.phase == .running { host.commands.publish(command) }
    return command.token
}

private struct PluginCommand: @unchecked Sendable {
    let function: martlet_ctl_fn
    let user: UnsafeMutableRawPointer?

    func run(_ call: CommandCall, _ instance: PluginInstance) throws(CommandFailure) {
        _ = instance.takeError()
        // All arguments in one block, which is lent for the call.
        var bytes = call.arguments.flatMap { $0 }
        var status = statusOK
        lend(&bytes) { all in
            var at = 0
            let argv = call.arguments.map { argument in
                defer { at += argument.count }
                return martlet_bytes(ptr: all.ptr.map { $0 + at }, len: argument.count)
            }
            var out = martlet_ctl_out(
                size: size(of: martlet_ctl_out.self), impl: Unmanaged.passUnretained(call).toOpaque(),
                print: { impl, text in
                    guard let impl, isMainThread, let text = text.buffer else { return }
                    Unmanaged<CommandCall>.fromOpaque(impl).takeUnretainedValue().write(text)
                })
            status = function(user, argv, argv.count, &out)
        }
        guard status != statusOK else { return }
        let sentence = instance.takeError()
        if sentence == nil && status == statusInvalid { throw .usage }
        throw .sentence(sentence ?? "\(call.argument(0) ?? "the command") failed: \(statusText(status)).")
    }
}
