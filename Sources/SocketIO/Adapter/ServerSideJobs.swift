import DequeModule
import Synchronization

/// What asynchronous handlers of other nodes' events still have to do: one after another for each node that emitted
/// them, in the order of arrival; those of different nodes side by side.
///
/// - Bounds: 1,024 events of one node wait; a further one is not handled, which its asker hears.
final class ServerSideJobs: Sendable {
    typealias Job = @Sendable () async -> Void

    static let maxWaiting = 1024

    /// Jobs that wait behind the one that runs, by node. A node without a job has no entry.
    private let waiting = Mutex<[String: Deque<Job>]>([:])

    /// - Returns: false if too many wait.
    func submit(from node: String, _ job: @escaping Job) -> Bool {
        enum Decision { case start, queued, full }
        let decision = self.waiting.withLock { waiting -> Decision in
            guard let count = waiting[node]?.count else {
                waiting[node] = []
                return .start
            }
            guard count < Self.maxWaiting else { return .full }
            waiting[node]?.append(job)
            return .queued
        }
        // Nobody awaits this task: it ends with the node's last job, and askers have a deadline.
        if decision == .start { Task { await self.run(job, of: node) } }
        return decision != .full
    }

    private func run(_ first: @escaping Job, of node: String) async {
        var next: Job? = first
        while let job = next {
            await job()
            next = self.waiting.withLock { waiting in
                if let job = waiting[node]?.popFirst() { return job }
                waiting[node] = nil
                return nil
            }
        }
    }
}
