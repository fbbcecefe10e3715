import Events
import HoldfastCore
import Synchronization

extension QueueLeader {
    /// What one term of a leader knows about the queues it serves.
    final class Term: Sendable {
        struct Queue: Sendable {
            var id: EventID
            var epoch: Int64
            /// As it was last read.
            var event: Event?
            var readAt: ContinuousClock.Instant?
            var needsRebuild: Bool
            var needsDraw: Bool
            var isWriting = false
            /// Places passed over since they were last written to the books, for support.
            var passedOver: [Int64] = []
            /// Since the term began, so that what a dead leader left is written.
            var wasWritten = false

            /// Rules that could not be read for two seconds let nobody in: PostgreSQL is away.
            func knowsRules(at now: ContinuousClock.Instant) -> Bool {
                readAt.map { now - $0 < .seconds(2) } ?? false
            }
        }

        private struct State {
            var queues: [EventID: Queue] = [:]
            var ticks = 0
            var writing = 0
        }

        let number: Int64
        private let state = Mutex(State())

        init(number: Int64) {
            self.number = number
        }

        func serve(_ running: [QueueStore.Running]) {
            state.withLock { state in
                var queues: [EventID: Queue] = [:]
                for found in running {
                    var queue =
                        state.queues[found.event]
                        ?? Queue(id: found.event, epoch: 0, needsRebuild: false, needsDraw: false)
                    // A rebuild that ended while PostgreSQL was asked knows the later epoch.
                    queue.epoch = max(queue.epoch, found.epoch)
                    queue.needsDraw = found.needsDraw
                    queue.needsRebuild = queue.needsRebuild || found.needsDraw || found.epoch == 0
                    queues[found.event] = queue
                }
                state.queues = queues
            }
        }

        func next(counting: Bool = true) -> (queues: [Queue], count: Int) {
            state.withLock { state in
                if counting { state.ticks += 1 }
                return (Array(state.queues.values), state.ticks)
            }
        }

        func read(_ event: Event) {
            state.withLock { state in
                state.queues[event.id]?.event = event
                state.queues[event.id]?.readAt = .now
            }
        }

        /// - Bounds: a place is passed over once until its person is seen again, so no more than people wait.
        func passedOver(_ places: [Int64], in event: EventID) {
            guard !places.isEmpty else { return }
            state.withLock { $0.queues[event]?.passedOver += places }
        }

        func takePassedOver(in event: EventID) -> [Int64] {
            state.withLock { state in
                defer { state.queues[event]?.passedOver = [] }
                return state.queues[event]?.passedOver ?? []
            }
        }

        /// - Returns: false while an earlier write of the queue is under way, or too many others are.
        func beginWriting(_ event: EventID, atMost limit: Int) -> Bool {
            state.withLock { state in
                guard state.writing < limit, state.queues[event]?.isWriting == false else { return false }
                state.queues[event]?.isWriting = true
                state.writing += 1
                return true
            }
        }

        func written(_ event: EventID) {
            state.withLock { $0.queues[event]?.wasWritten = true }
        }

        func endWriting(_ event: EventID) {
            state.withLock { state in
                state.queues[event]?.isWriting = false
                state.writing -= 1
            }
        }

        func lost(_ event: EventID) {
            state.withLock { $0.queues[event]?.needsRebuild = true }
        }

        func rebuilt(_ event: EventID, epoch: Int64) {
            state.withLock { state in
                state.queues[event]?.epoch = epoch
                state.queues[event]?.needsRebuild = false
                state.queues[event]?.needsDraw = false
            }
        }
    }
}
