// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config

/// martlet.config/1
nonisolated(unsafe) let configTable = permanent(
    martlet_config_v1(
        size: size(of: martlet_config_v1.self),
        declare: { host, keys, count, apply, user in
            registering(host, "config.declare", nil) { instance throws(RegistrationError) in
                try declare(instance, keys, count, apply, user)
                return 0
            }
        },
        get_int: { host, key, out in
            reading(host, "config.get_int") { config in
                guard let name = cText(key, limit: 256), let value = config.integer(name) else { return statusNotFound }
                guard let value else { return statusInvalid }
                out.pointee = value
                return statusOK
            }
        },
        get_string: { host, key, out in
            reading(host, "config.get_string") { config in
                guard let name = cText(key, limit: 256), let value = config.text(name) else { return statusNotFound }
                out.pointee = value
                return statusOK
            }
        },
        each: { host, prefix, function, user in
            reading(host, "config.each") { config in
                guard let prefix = cText(prefix, limit: 256), isPresent(function) else { return statusInvalid }
                for (key, value) in config.values.each(prefix: prefix) {
                    var key = key
                    var text = value.text
                    let goesOn = key.withUTF8 { key in
                        text.withUTF8 { text in
                            function(
                                user, martlet_bytes(UnsafeRawBufferPointer(key)),
                                martlet_bytes(UnsafeRawBufferPointer(text)))
                        }
                    }
                    if !goesOn { break }
                }
                return statusOK
            }
        }))

private func reading(
    _ host: HostPointer, _ function: StaticString, _ body: (PluginConfig) -> martlet_status
) -> martlet_status {
    let instance = instance(host)
    guard isMainThread else { return instance.wrongThread(function, wanted: "the control thread") }
    guard let config = instance.config else { return statusNotFound }
    return body(config)
}

private func declare(
    _ instance: PluginInstance, _ keys: UnsafePointer<martlet_cfg_key>, _ count: Int, _ apply: martlet_cfg_apply?,
    _ user: UnsafeMutableRawPointer?
) throws(RegistrationError) {
    guard instance.config == nil else { throw RegistrationError(statusState, "the keys are declared already") }
    guard count <= registrationLimit else { throw RegistrationError(statusInvalid, "\(count) keys are too many") }
    let stride = count == 0 ? 0 : Int(keys.pointee.size)
    guard count == 0 || stride >= MemoryLayout<martlet_cfg_key>.size else {
        throw RegistrationError(statusInvalid, "a declared key has the wrong size")
    }
    var declared: [ConfigKey] = []
    for index in 0..<count {
        let key = (UnsafeRawPointer(keys) + index * stride).load(as: martlet_cfg_key.self)
        var wrong = ""
        guard let made = configKey(key, wrong: &wrong) else { throw RegistrationError(statusInvalid, wrong) }
        declared.append(made)
    }
    let host = instance.host
    let path = host.options.confDirectory + "/\(instance.name).conf"
    let schema = Schema(declared)
    let load = ConfigFile.load(
        path: path, schema: schema, environment: host.options.environment, root: host.options.root, optional: true)
    for warning in load.warnings { instance.log(.warning, warning.description) }
    guard let values = load.values else {
        for error in load.errors { instance.log(.error, error.description) }
        instance.hasBadConfig = true
        throw RegistrationError(statusInvalid, sentence(for: load.errors), isComplete: true)
    }
    instance.config = PluginConfig(schema, values, path: path, apply: apply, user: user)
}

extension PluginHost {
    /// Reads a running plugin's conf file again and offers it what changed. Returns the changed keys that wait for the
    /// next load. On an error every old value stays in force.
    public func reconfigure(_ typed: String) throws(PluginError) -> [String] {
        let name = canonicalPluginName(typed)
        guard let instance = instance(named: name) else { throw notRunning(name) }
        guard let config = instance.config else { return [] }
        let load = ConfigFile.load(
            path: config.path, schema: config.schema, environment: options.environment, root: options.root,
            optional: true)
        for warning in load.warnings { instance.log(.warning, warning.description) }
        guard let values = load.values else {
            throw PluginError(.badConfig, name, "nothing was changed: \(sentence(for: load.errors))")
        }
        return try config.change(to: values) { key in
            let reason = instance.takeError() ?? "\(name) refuses the new value"
            return PluginError(.badConfig, name, "nothing was changed: \(config.path): \(key): \(reason).")
        }
    }
}
