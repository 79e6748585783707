// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.service/1
nonisolated(unsafe) let serviceTable = permanent(
    martlet_service_v1(
        size: size(of: martlet_service_v1.self),
        provide: { host, id, table, out in
            registering(host, "service.provide", out) { instance throws(RegistrationError) in
                let id = try registeredName(id, limit: 64)
                guard isPresent(table) else { throw RegistrationError(statusInvalid, "the table of \(id) is NULL") }
                guard !id.hasPrefix("martlet.") else {
                    throw RegistrationError(statusExists, "names such as \(id) belong to the broker")
                }
                let services = instance.host.services
                if let there = services.find(id), there.provider !== instance.predecessor {
                    throw RegistrationError(statusExists, "the service \(id) is provided by \(there.provider.name)")
                }
                guard !instance.services.values.contains(where: { $0.id == id }) else {
                    throw RegistrationError(statusExists, "the service \(id) is provided twice")
                }
                let service = ServiceTable.Service(id, table, instance)
                let token = instance.host.nextToken()
                instance.services[token] = service
                if instance.phase == .running { services.publish(service) }
                return token
            }
        },
        borrow: { host, id, out in
            var table: UnsafeRawPointer?
            _ = registering(host, "service.borrow", out) { instance throws(RegistrationError) in
                let id = try registeredName(id, limit: 64)
                guard let service = instance.host.services.find(id), service.provider !== instance.predecessor else {
                    throw RegistrationError(statusNotFound, "nobody provides the service \(id)")
                }
                let token = instance.host.nextToken()
                service.borrowers.append(instance)
                instance.borrows[token] = service
                table = service.table
                return token
            }
            return table
        },
        give_back: { host, token in
            let instance = instance(host)
            guard isMainThread else {
                _ = instance.wrongThread("service.give_back", wanted: "the control thread")
                return
            }
            guard let service = instance.borrows.removeValue(forKey: token) else { return }
            ServiceTable.giveBack(service, by: instance)
        }))

/// martlet.dynamic/1
nonisolated(unsafe) let dynamicTable = permanent(
    martlet_dynamic_v1(
        size: size(of: martlet_dynamic_v1.self),
        define: { host, name, signature, function, user, out in
            registering(host, "dynamic.define", out) { instance throws(RegistrationError) in
                try offer(instance, .function, name, signature, function, user)
            }
        },
        call: { host, name, signature, arguments, count, result in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard let name = cText(name, limit: 128), let signature = cText(signature, limit: 64) else {
                return statusInvalid
            }
            return instance.host.dynamic.call(name, signature, arguments, count, result)
        },
        define_hook: { host, name, signature, out in
            registering(host, "dynamic.define_hook", out) { instance throws(RegistrationError) in
                try offer(instance, .point, name, signature, nil, nil)
            }
        },
        hook: { host, name, signature, priority, function, user, out in
            registering(host, "dynamic.hook", out) { instance throws(RegistrationError) in
                try offer(instance, .joiner, name, signature, function, user, priority)
            }
        },
        run_hook: { host, name, arguments, count in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard let name = cText(name, limit: 128) else { return statusInvalid }
            return instance.host.dynamic.run(name, arguments, count)
        }))

private func offer(
    _ instance: PluginInstance, _ kind: DynamicTable.Kind, _ name: UnsafePointer<CChar>,
    _ signature: UnsafePointer<CChar>, _ function: (@convention(c) () -> Void)?, _ user: UnsafeMutableRawPointer?,
    _ priority: Int32 = 0
) throws(RegistrationError) -> martlet_token {
    let name = try registeredName(name)
    let text = cText(signature, limit: 64) ?? ""
    guard let prepared = DynamicSignature(text), kind == .function || text.hasPrefix("i(") else {
        throw RegistrationError(
            statusInvalid,
            "\"\(oneLine(text.utf8, limit: 64))\" is no signature such as i(ss); that of a hook begins with i")
    }
    guard kind == .point || function != nil else { throw RegistrationError(statusInvalid, "the function is NULL") }
    let dynamic = instance.host.dynamic
    if kind != .joiner {
        let there = dynamic.holder(kind, name) ?? instance.dynamics.values.first { $0.kind == kind && $0.name == name }
        if let there, there.owner != instance.predecessor?.owner {
            throw RegistrationError(statusExists, "\(name) is defined by \(there.plugin)")
        }
    } else if let point = dynamic.holder(.point, name), point.signature.text != text {
        throw RegistrationError(statusInvalid, "\(name) has the signature \(point.signature.text), not \(text)")
    }
    if kind == .point {
        for joiner in dynamic.joiners(name) where joiner.signature.text != text {
            instance.log(
                .error,
                "\(joiner.plugin) joined \(name) with the signature \(joiner.signature.text), not \(text); "
                    + "it is not called")
        }
    }
    guard instance.dynamics.count < registrationLimit else {
        throw RegistrationError(statusNoMemory, "\(registrationLimit) definitions are the limit")
    }
    let item = DynamicTable.Item(kind, name, prepared, function, user, priority: priority, of: instance)
    let token = instance.host.nextToken()
    instance.dynamics[token] = item
    if instance.phase == .running { dynamic.publish(item) }
    return token
}
