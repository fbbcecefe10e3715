package import Events
import Foundation
package import HoldfastCore
import Synchronization

/// The draws as this instance shows them.
///
/// A roster is read whole and hashed, which takes a moment for 100,000 people, so one reading serves everybody who asks
/// meanwhile: the closed one for good, the open one for twenty times as long as it took.
///
/// - Bounds: 8 events; the one that was read first goes.
package final class LobbyDraws: Sendable {
    /// A draw with what its people need to check it.
    struct Known: Sendable {
        var draw: PublishedDraw
        /// The same, encoded: six megabytes for 100,000 people.
        var document: [UInt8]
        var tree: MerkleTree
        /// Entry by user.
        var index: [String: Int]
        var tickets: [String]
        /// Rank by entry, once drawn.
        var ranks: [Int]
    }

    private struct Reading {
        var number: Int
        var task: Task<Known?, any Error>
        /// Not to be used from then on; nil while it is being read, and for good when drawn.
        var goodUntil: ContinuousClock.Instant?
    }

    private static let capacity = 8
    private static let shortest = Duration.milliseconds(200)

    private let store: QueueStore
    private let readings = Mutex<(next: Int, known: [EventID: Reading])>((0, [:]))

    init(store: QueueStore) {
        self.store = store
    }

    /// What is known of an event's draw, and a person's own place in it.
    package func draw(
        of event: Event,
        for user: UserID
    ) async throws -> (draw: PublishedDraw, proof: DrawProof?) {
        guard let known = try await known(event) else { throw Self.noLobby }
        guard let index = known.index[user.rawValue] else { return (known.draw, nil) }
        let proof = DrawProof(
            userId: user.rawValue,
            ticket: known.tickets[index],
            leaf: known.draw.leaves[index],
            index: index,
            rosterSize: known.tickets.count,
            path: (known.tree.path(of: index) ?? []).map { LobbyDraw.hex($0) },
            rank: known.ranks.isEmpty ? nil : known.ranks[index]
        )
        return (known.draw, proof)
    }

    /// The published draw as JSON, the same bytes for everybody.
    ///
    /// - Returns: `isFinal` once it never changes again.
    package func document(of event: Event) async throws -> (bytes: [UInt8], isFinal: Bool) {
        guard let known = try await known(event) else { throw Self.noLobby }
        return (known.document, known.draw.secret != nil)
    }

    private static let noLobby = Problem(
        .notFound,
        "This event draws no lots: its waiting room lets people in as they come."
    )

    private func known(_ event: Event) async throws -> Known? {
        guard event.queue.enabled, event.queue.mode == .lobby else { return nil }
        let reading = readings.withLock { state in
            if let reading = state.known[event.id], reading.goodUntil.map({ .now < $0 }) ?? true { return reading }
            if state.known.count >= Self.capacity,
                let oldest = state.known.min(by: { $0.value.number < $1.value.number })?.key
            {
                state.known[oldest] = nil
            }
            let number = state.next
            // Not a child of this request: others wait for the same reading, and await it below.
            let task = Task { try await self.read(event.id, number) }
            let reading = Reading(number: number, task: task)
            state.known[event.id] = reading
            state.next += 1
            return reading
        }
        do {
            return try await reading.task.value
        } catch {
            readings.withLock { state in
                if state.known[event.id]?.number == reading.number { state.known[event.id] = nil }
            }
            throw error
        }
    }

    private func read(_ event: EventID, _ number: Int) async throws -> Known? {
        let start = ContinuousClock.now
        try await store.prepare(event)
        guard let roster = try await store.roster(of: event) else { return nil }
        let known = try Self.known(roster, event)
        if !roster.isDrawn {
            let now = ContinuousClock.now
            readings.withLock { state in
                guard state.known[event]?.number == number else { return }
                state.known[event]?.goodUntil = now + max(Self.shortest, (now - start) * 20)
            }
        }
        return known
    }

    private static func known(_ roster: QueueStore.Roster, _ event: EventID) throws -> Known {
        let tree = MerkleTree(leaves: roster.leaves)
        var ranks: [Int] = []
        if roster.isDrawn {
            ranks = Array(repeating: 0, count: roster.entries.count)
            let order = LobbyDraw.order(of: tree.leaves, root: tree.root, secret: roster.secret, event: event)
            for (rank, index) in order.enumerated() { ranks[index] = rank + 1 }
        }
        let draw = PublishedDraw(
            eventId: event.rawValue,
            commitment: roster.commitment,
            rosterRoot: LobbyDraw.hex(tree.root),
            rosterClosed: roster.isClosed,
            secret: roster.isDrawn ? LobbyDraw.hex(roster.secret) : nil,
            leaves: tree.leaves.map { LobbyDraw.hex($0) }
        )
        return Known(
            draw: draw,
            document: Array(try JSONEncoder().encode(draw)),
            tree: tree,
            index: Dictionary(roster.entries.enumerated().map { ($1.user, $0) }, uniquingKeysWith: { $1 }),
            tickets: roster.entries.map(\.ticket),
            ranks: ranks
        )
    }
}
