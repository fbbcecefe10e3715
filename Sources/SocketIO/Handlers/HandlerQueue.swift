import DequeModule
import NIOCore
import Synchronization

/// The jobs of one socket that wait for its handlers: one after another, in order of arrival, by one task while
/// there are any and by none when there are not.
///
/// - Bounds: `maxPendingEvents` events; the caller closes the connection at the bound. Connection and disconnect
///   jobs are not counted: there is one of each per handler.
final class HandlerQueue: Sendable {
    private struct State {
        var jobs: Deque<HandlerJob> = []
        var isRunning = false
    }

    private let state = Mutex(State())

    /// Runs or queues a job. Called on the socket's loop; false if the bound is reached.
    func submit(_ job: HandlerJob, of socket: Socket, maxPending: Int) -> Bool {
        enum Decision { case runHere, start, queued, full }
        let decision = self.state.withLock { state -> Decision in
            if state.isRunning {
                if job.isEvent, state.jobs.count >= maxPending { return .full }
                state.jobs.append(job)
                return .queued
            }
            if job.isInline { return .runHere }
            state.isRunning = true
            return .start
        }
        switch decision {
        case .full: return false
        case .queued: return true
        case .runHere: return job.runInline(socket)
        case .start:
            // Nobody awaits this task: it ends when the queue is empty, at the latest after the disconnect
            // handlers, and the queue's bound is the bound of its work. It begins here and goes on here, on the
            // loop: waking another thread costs more than most handlers.
            Task.immediate(executorPreference: socket.shard.executor) { await self.run(job, socket) }
            return true
        }
    }

    /// Whether nothing runs or waits: an inline handler may then run at once. Called on the socket's loop, where alone
    /// jobs are submitted.
    var isIdle: Bool { self.state.withLock { !$0.isRunning } }

    private func run(_ first: HandlerJob, _ socket: Socket) async {
        var next: HandlerJob? = first
        while let job = next {
            if job.isInline {
                try? await socket.eventLoop.submit { _ = job.runInline(socket) }.get()
            } else {
                await job.runQueued(socket)
            }
            next = self.state.withLock { state in
                let job = state.jobs.popFirst()
                if job == nil { state.isRunning = false }
                return job
            }
        }
    }
}
