// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Runs tasks on the one thread of the HTTP server. Without it Swift would start a pool of a thread per core, only to
/// hand every result back to that thread.
final class LoopExecutor: TaskExecutor {
    let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
