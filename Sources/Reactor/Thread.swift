// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

private final class ThreadBody {
    let name: String
    let run: () -> Void
    init(_ name: String, _ run: @escaping () -> Void) {
        self.name = name
        self.run = run
    }
}

/// Starts a named thread that nobody joins: what it leaves behind goes with it. False: the system has none to give, and
/// errno says why.
@discardableResult public func startDetachedThread(_ name: String, _ run: @escaping @Sendable () -> Void) -> Bool {
    guard let thread = makeThread(name, run) else { return false }
    pthread_detach(thread)
    return true
}

/// Starts a named thread, to be joined; for those without which nothing works. Signals are blocked in it: the control
/// thread takes them.
public func startThread(_ name: String, _ run: @escaping @Sendable () -> Void) -> pthread_t {
    guard let thread = makeThread(name, run) else {
        fatalError("the thread \(name) cannot be started: \(String(cString: strerror(errno)))")
    }
    return thread
}

/// Nil, with errno set, when the process or its user has as many as it may have.
private func makeThread(_ name: String, _ run: @escaping @Sendable () -> Void) -> pthread_t? {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(ThreadBody(name, run))
    let code = pthread_create(
        &thread, nil,
        { raw in
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            let body = Unmanaged<ThreadBody>.fromOpaque(raw!).takeRetainedValue()
            cr_name_thread(body.name)
            body.run()
            return nil
        }, body.toOpaque())
    guard code == 0 else {
        body.release()
        errno = code
        return nil
    }
    return thread
}
