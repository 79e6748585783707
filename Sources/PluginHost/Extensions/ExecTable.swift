// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc

/// martlet.exec/1
nonisolated(unsafe) let execTable = permanent(
    martlet_exec_v1(
        size: size(of: martlet_exec_v1.self),
        loop_count: { host in UInt32(instance(host).host.broker.loopCount) },
        current: { _ in cr_current_loop() },
        on_main: { host, task, user in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard isPresent(task) else { return statusInvalid }
            let task = PluginTask(function: task, user: user)
            guard instance.mainTasks.put(task, limit: instance.host.options.queueLimit) else { return statusBusy }
            instance.host.control.post { instance.runMainTasks() }
            instance.host.signalRest()
            return statusOK
        },
        on_loop: { host, loop, task, user in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard isPresent(task), loop < UInt32(instance.host.broker.loopCount) else { return statusInvalid }
            return submit(PluginTask(function: task, user: user), toLoop: Int(loop), instance)
        },
        blocking: { host, task, user in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard isPresent(task) else { return statusInvalid }
            let task = PluginTask(function: task, user: user)
            let isTaken = instance.host.pool.submit(task, for: instance, limit: instance.host.options.queueLimit)
            return isTaken ? statusOK : statusBusy
        },
        timer: { host, location, first, every, task, user, out in
            registering(host, "exec.timer", out) { instance throws(RegistrationError) in
                guard isPresent(task) else { throw RegistrationError(statusInvalid, "the function is NULL") }
                return try addPoller(
                    instance, .timer(first: UInt64(first), every: UInt64(every), task: task), on: location, user)
            }
        },
        poll_fd: { host, location, fd, events, function, user, out in
            registering(host, "exec.poll_fd", out) { instance throws(RegistrationError) in
                guard isPresent(function), events & ~UInt32(MARTLET_POLL_IN | MARTLET_POLL_OUT) == 0, events != 0 else {
                    throw RegistrationError(
                        statusInvalid, "the function is NULL or the events are none that can be polled")
                }
                try checkPollable(fd)
                return try addPoller(instance, .watch(fd: fd, events: events, function: function), on: location, user)
            }
        },
        cancel: { host, token in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("exec.cancel", wanted: "the control thread") }
            guard let poller = instance.pollers.removeValue(forKey: token) else { return statusStale }
            poller.cancel()
            return statusOK
        }))

private func submit(_ task: PluginTask, toLoop loop: Int, _ instance: PluginInstance) -> martlet_status {
    let limit = instance.host.options.queueLimit
    guard instance.loopTasks.add(1, ordering: .sequentiallyConsistent).newValue <= limit else {
        instance.loopTasks.subtract(1, ordering: .sequentiallyConsistent)
        return statusBusy
    }
    instance.host.broker.loop(loop).post {
        instance.watched("on_loop task") { task.function(task.user) }
        instance.loopTasks.subtract(1, ordering: .sequentiallyConsistent)
        instance.host.signalRest()
    }
    return statusOK
}

/// epoll refuses regular files and folders; better now than when the plugin already runs.
private func checkPollable(_ fd: Int32) throws(RegistrationError) {
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw RegistrationError(statusInvalid, "\(fd) is no open descriptor") }
    let kind = status.st_mode & S_IFMT
    guard kind != S_IFREG, kind != S_IFDIR else {
        throw RegistrationError(statusInvalid, "descriptor \(fd) is a file or folder, which cannot be polled")
    }
}

/// While the plugin starts, nothing of it may run elsewhere: then the poller is armed with the commit.
private func addPoller(
    _ instance: PluginInstance, _ kind: Poller.Kind, on location: Int32, _ user: UnsafeMutableRawPointer?
) throws(RegistrationError) -> martlet_token {
    let host = instance.host
    guard location == Int32(MARTLET_ON_MAIN) || (location >= 0 && Int(location) < host.broker.loopCount) else {
        throw RegistrationError(statusInvalid, "there is no loop \(location)")
    }
    guard instance.pollers.count < registrationLimit else {
        throw RegistrationError(statusNoMemory, "\(registrationLimit) timers and descriptors are the limit")
    }
    let loop = location < 0 ? host.control : host.broker.loop(Int(location))
    let poller = Poller(kind, host.nextToken(), on: loop, user, of: instance)
    if instance.phase == .running, !poller.arm() {
        throw RegistrationError(statusInvalid, "the descriptor cannot be watched: \(systemText(errno))")
    }
    instance.pollers[poller.token] = poller
    return poller.token
}
