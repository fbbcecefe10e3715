package import NIOCore

/// Runs tasks on an event loop, so that a task that works for one connection wakes no other thread.
///
/// For short tasks whose pieces between two waits are as short as a handler on the loop has to be.
package final class LoopTaskExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
