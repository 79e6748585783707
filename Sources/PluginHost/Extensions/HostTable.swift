// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// The functions of `martlet_host` itself, and what all extension tables share.

/// A table that lives as long as the process.
func permanent<T>(_ table: T) -> UnsafePointer<T> {
    let memory = UnsafeMutablePointer<T>.allocate(capacity: 1)
    memory.initialize(to: table)
    return UnsafePointer(memory)
}

func size<T>(of type: T.Type) -> UInt32 { UInt32(MemoryLayout<T>.size) }

typealias HostPointer = UnsafePointer<martlet_host>

/// The instance behind the first argument of nearly every function.
func instance(_ host: HostPointer) -> PluginInstance {
    Unmanaged<PluginInstance>.fromOpaque(host.pointee.impl).takeUnretainedValue()
}

let extensionIDs = [
    MARTLET_EXT_LOG,
    MARTLET_EXT_CONFIG,
    MARTLET_EXT_CLIENT,
    MARTLET_EXT_MESSAGE,
    MARTLET_EXT_HOOKS,
    MARTLET_EXT_AUTH,
    MARTLET_EXT_ACL,
    MARTLET_EXT_PSK,
    MARTLET_EXT_PUBSUB,
    MARTLET_EXT_EXEC,
    MARTLET_EXT_KV,
    MARTLET_EXT_METRICS,
    MARTLET_EXT_ALARM,
    MARTLET_EXT_CTL,
    MARTLET_EXT_SERVICE,
    MARTLET_EXT_DYNAMIC,
    MARTLET_EXT_HTTPC,
    MARTLET_EXT_HTTP,
    MARTLET_EXT_NET,
]

func isExtension(_ id: String) -> Bool { extensionIDs.contains(id) }

func extensionTable(_ id: String) -> UnsafeRawPointer? {
    switch id {
    case MARTLET_EXT_LOG: UnsafeRawPointer(logTable)
    case MARTLET_EXT_CONFIG: UnsafeRawPointer(configTable)
    case MARTLET_EXT_CLIENT: UnsafeRawPointer(clientTable)
    case MARTLET_EXT_MESSAGE: UnsafeRawPointer(messageTable)
    case MARTLET_EXT_HOOKS: UnsafeRawPointer(hooksTable)
    case MARTLET_EXT_AUTH: UnsafeRawPointer(authTable)
    case MARTLET_EXT_ACL: UnsafeRawPointer(aclTable)
    case MARTLET_EXT_PSK: UnsafeRawPointer(pskTable)
    case MARTLET_EXT_PUBSUB: UnsafeRawPointer(pubsubTable)
    case MARTLET_EXT_EXEC: UnsafeRawPointer(execTable)
    case MARTLET_EXT_KV: UnsafeRawPointer(kvTable)
    case MARTLET_EXT_METRICS: UnsafeRawPointer(metricsTable)
    case MARTLET_EXT_ALARM: UnsafeRawPointer(alarmTable)
    case MARTLET_EXT_CTL: UnsafeRawPointer(ctlTable)
    case MARTLET_EXT_SERVICE: UnsafeRawPointer(serviceTable)
    case MARTLET_EXT_DYNAMIC: UnsafeRawPointer(dynamicTable)
    case MARTLET_EXT_HTTPC: UnsafeRawPointer(httpcTable)
    case MARTLET_EXT_HTTP: UnsafeRawPointer(httpTable)
    case MARTLET_EXT_NET: UnsafeRawPointer(netTable)
    default: nil
    }
}

let hostGetExtension: @convention(c) (HostPointer, UnsafePointer<CChar>) -> UnsafeRawPointer? = { _, id in
    cText(id, limit: 64).flatMap(extensionTable)
}

let hostSetError: @convention(c) (HostPointer, martlet_status, martlet_bytes) -> Void = { host, status, text in
    instance(host).setError(status, text.line(limit: 1024))
}

let hostStopped: @convention(c) (HostPointer) -> Void = { host in
    let instance = instance(host)
    instance.isStopped.store(true, ordering: .sequentiallyConsistent)
    instance.host.signalRest()
}

/// A registration: checks thread and phase, stores the token, and leaves the sentence of a refusal with the instance.
func registering(
    _ host: HostPointer, _ function: StaticString, _ out: UnsafeMutablePointer<martlet_token>?,
    _ body: (PluginInstance) throws(RegistrationError) -> martlet_token
) -> martlet_status {
    let instance = instance(host)
    guard isMainThread else { return instance.wrongThread(function, wanted: "the control thread") }
    guard instance.isOpen else { return instance.wrongPhase(function) }
    do throws(RegistrationError) {
        let token = try body(instance)
        out?.pointee = token
        return statusOK
    } catch {
        instance.setError(error.status, error.isComplete ? error.text : "\(function): \(error.text)")
        return error.status
    }
}

/// A name that a plugin registers: present and at most `limit` bytes of printable ASCII without spaces.
func registeredName(_ pointer: UnsafePointer<CChar>, limit: Int = 128) throws(RegistrationError) -> String {
    guard let name = cText(pointer, limit: limit), !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else {
        throw RegistrationError(statusInvalid, "a name must be 1 to \(limit) printable characters without spaces")
    }
    return name
}

/// Registrations of one kind and plugin beyond this are a mistake in the plugin.
let registrationLimit = 10_000
