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
                for (key, value) in config.each(prefix: prefix) {
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
    let declared = try declarations(keys, count)
    if instance.onlyDeclares {
        instance.declared = (declared, apply != nil)
        throw RegistrationError(statusState, "this is a look at its keys only", isComplete: true)
    }
    let host = instance.host
    let path = host.options.confDirectory + "/\(instance.name).conf"
    let schema = Schema(declared)
    let load = ConfigFile.load(
        path: path, schema: schema, environment: host.options.environment, root: host.options.root, optional: true)
    for warning in load.warnings { instance.log(.warning, warning.description) }
    guard let values = load.values else {
        instance.log(load.errors)
        instance.hasBadConfig = true
        throw RegistrationError(statusInvalid, sentence(for: load.errors), isComplete: true)
    }
    instance.config = PluginConfig(schema, values, path: path, apply: apply, user: user)
}
