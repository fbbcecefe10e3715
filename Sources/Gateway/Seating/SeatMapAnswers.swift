import Events
import HoldfastCore
import NIOCore
import Seating
import Synchronization

/// The answers that name every seat of an event: megabytes for an arena, so each is made once for all who ask.
///
/// A layout never changes under its version, and a map does not under its number. They are made away from the event
/// loops, which would stand still for tens of milliseconds. What nobody asked for in ``idleTime`` goes with the next event
/// that comes.
///
/// - Bounds: 600,000 seats of all events, some 130 MB; at the bound random events go.
final class SeatMapAnswers: Sendable {
    private struct Entry {
        let version: Int
        let seats: Int
        let document: Task<LayoutDocument, any Error>
        var full: (seq: Int64, answer: Task<ByteBuffer, any Error>)?
        var usedAt: ContinuousClock.Instant
    }

    static let idleTime = Duration.seconds(300)

    private let capacity: Int
    private let entries = Mutex<[EventID: Entry]>([:])

    init(capacity: Int = 600_000) { self.capacity = capacity }

    func layout(_ event: Event, _ layout: Layout) async throws -> ByteBuffer {
        try await document(event, layout).value.bytes
    }

    func full(_ event: Event, _ layout: Layout, _ snapshot: SeatSnapshot) async throws -> ByteBuffer {
        let document = document(event, layout)
        let answer = entries.withLock { entries -> Task<ByteBuffer, any Error> in
            let entry = entries[event.id]
            let isCurrent = entry?.version == layout.version
            if isCurrent, let full = entry?.full, full.seq == snapshot.seq { return full.answer }
            // Not children of this request: others wait for them too, and one's giving up must not cost them theirs.
            let answer = Task(executorPreference: globalConcurrentExecutor) {
                try SeatMapJSON.full(event, layout, snapshot, try await document.value)
            }
            if isCurrent { entries[event.id]?.full = (snapshot.seq, answer) }
            return answer
        }
        return try await answer.value
    }

    private func document(_ event: Event, _ layout: Layout) -> Task<LayoutDocument, any Error> {
        entries.withLock { entries in
            let now = ContinuousClock.now
            if let entry = entries[event.id], entry.version == layout.version {
                entries[event.id]?.usedAt = now
                return entry.document
            }
            entries = entries.filter { now - $0.value.usedAt < Self.idleTime }
            let document = Task(executorPreference: globalConcurrentExecutor) {
                try SeatMapJSON.layout(event, layout)
            }
            entries[event.id] = Entry(
                version: layout.version,
                seats: layout.seats.count,
                document: document,
                usedAt: now
            )
            var seats = entries.values.reduce(0) { $0 + $1.seats }
            while seats > capacity, let victim = entries.keys.first(where: { $0 != event.id }) {
                seats -= entries.removeValue(forKey: victim)?.seats ?? 0
            }
            return document
        }
    }
}
