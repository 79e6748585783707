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

/// Starts a named thread that nobody joins: what it leaves behind goes with it.
public func startDetachedThread(_ name: String, _ run: @escaping @Sendable () -> Void) {
    pthread_detach(startThread(name, run))
}

/// Starts a named thread, to be joined. Signals are blocked in it: the control thread takes them.
public func startThread(_ name: String, _ run: @escaping @Sendable () -> Void) -> pthread_t {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(ThreadBody(name, run))
    let failed = pthread_create(
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
    precondition(failed == 0, "no thread could be started for \(name)")
    return thread
}
