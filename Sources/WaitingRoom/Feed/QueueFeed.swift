import Events
package import HoldfastCore
import Logging
import NIOCore
package import Redis
import ServiceLifecycle
import Synchronization

/// Keeps the people connected to this instance informed about their place, and the waiting room about their presence.
///
/// Listens to an event's ticks while somebody here waits for it, and computes positions itself: no question to Redis
/// per person and tick. Within two seconds all its people are looked up, a share of them at each step, which is their
/// sign of presence and at the same time finds whatever a lost message would have said; after a missed tick or a lost
/// connection all at once.
///
/// - Bounds: ticks are folded into the room's state, there is no queue of them. What is to be said is computed when the
///   callback has returned from the time before, at most one position per person: the newest wins.
///
/// A position never gets worse for a person on this instance, whatever answers and notices cross each other: both go
/// through the room, which remembers what was told last, and a notice does when it is written. Nor does it for a client
/// that moves to another instance, for its first answer there is read from Redis, and nothing that was announced before
/// is ahead of that. Two tabs on two instances are up to a tick apart from each other.
package final class QueueFeed: Service {
    /// - Returns: the admissions that could not be said, as a store was away; they come again.
    package typealias Notify = @Sendable (QueueFeed, EventID, [QueueNotice]) async -> [QueueNotice]

    private struct Room {
        var feed = FeedRoom()
        var isSubscribed = false
    }

    private struct Work {
        var isSubscribed: Bool
        var isBehind: Bool
        var users: [UserID]
    }

    private static let stepEvery = Duration.milliseconds(100)

    private let waitingRoom: WaitingRoom
    private let unread = UnreadMessages(channel: "queue")
    private let subscriber: RedisSubscriber
    private let notify: Notify
    private let rooms = Mutex<[EventID: Room]>([:])

    /// - Parameter notify: is awaited; the next notices of this event come after it has returned.
    package init(waitingRoom: WaitingRoom, subscriber: RedisSubscriber, notify: @escaping Notify) {
        self.waitingRoom = waitingRoom
        self.subscriber = subscriber
        self.notify = notify
    }

    /// Counts one socket of a person in. Call it for those who wait and for those who have a pass.
    ///
    /// - Parameter known: what the person was told just now; an admission they know is not announced again.
    package func watch(_ user: UserID, in event: EventID, known: QueueStanding? = nil) {
        rooms.withLock { rooms in
            rooms[event, default: Room()].feed.watch(user, known: known)
        }
    }

    /// Counts one socket out; with the last one the person is away in 5 s.
    package func unwatch(_ user: UserID, in event: EventID) {
        rooms.withLock { $0[event]?.feed.unwatch(user) }
    }

    /// What a person is answered about their place, over HTTP too; never worse than what they were told here before.
    package func answering(_ standing: QueueStanding, to user: UserID, in event: EventID) -> QueueStanding {
        rooms.withLock { $0[event]?.feed.answering(user, standing, now: .now) ?? standing }
    }

    /// A notice as it is to be said right now; nil if not at all any more.
    ///
    /// Ask on the socket's loop, where its answers are written, and write it there: an answer that was ready later may
    /// leave earlier.
    package func current(_ notice: QueueNotice, in event: EventID) -> QueueNotice? {
        rooms.withLock { $0[event]?.feed.current(notice) }
    }

    package func run() async throws {
        subscriber.onReconnect { [weak self] in
            self?.rooms.withLock { rooms in
                for event in rooms.keys { rooms[event]?.feed.missedMessages() }
            }
        }
        await cancelWhenGracefulShutdown {
            let clock = ContinuousClock()
            while !Task.isCancelled {
                let next = clock.now + Self.stepEvery
                let events = self.rooms.withLock { Array($0.keys) }
                await withDiscardingTaskGroup { group in
                    for event in events { group.addTask { await self.step(event) } }
                }
                do { try await clock.sleep(until: max(next, clock.now)) } catch { return }
            }
        }
    }

    // MARK: One step of a room

    func step(_ event: EventID) async {
        let now = ContinuousClock.now
        guard let work = begin(event, now) else {
            await subscriber.unsubscribe(WaitingRoomKeys.channel(event))
            // Somebody may have come while the channel was given up.
            rooms.withLock { $0[event]?.isSubscribed = false }
            return
        }
        do {
            if !work.isSubscribed { try await subscribe(event) }
            if !work.users.isEmpty { try await look(work, event) }
        } catch {
            // A store is away. Everybody keeps what they were told; the next step tries again.
            waitingRoom.logger.debug("queue feed's step failed", metadata: ["error": "\(error)"])
        }
        // Without it notices carry no estimate.
        let details = try? await waitingRoom.events.event(event)
        let notices = rooms.withLock { $0[event]?.feed.takeNotices(now: now, event: details) } ?? []
        guard !notices.isEmpty else { return }
        let unsaid = await notify(self, event, notices)
        if !unsaid.isEmpty { rooms.withLock { $0[event]?.feed.unsaid(unsaid) } }
    }

    /// - Returns: nil when nobody is left in the room, which is then removed.
    private func begin(_ event: EventID, _ now: ContinuousClock.Instant) -> Work? {
        rooms.withLock { rooms in
            guard let room = rooms[event], !room.feed.users.isEmpty else {
                rooms[event] = nil
                return nil
            }
            if !room.isSubscribed { rooms[event]?.feed.missedMessages() }
            return Work(
                isSubscribed: room.isSubscribed,
                isBehind: rooms[event]?.feed.isBehind ?? true,
                users: rooms[event]?.feed.takeLooks(now: now) ?? []
            )
        }
    }

    private func subscribe(_ event: EventID) async throws {
        do {
            try await subscriber.subscribe(WaitingRoomKeys.channel(event)) { [weak self] buffer in
                guard let self else { return }
                guard let message = QueueMessage(String(buffer: buffer)) else {
                    return self.unread.passedOver(self.waitingRoom.logger)
                }
                self.rooms.withLock { $0[event]?.feed.receive(message) }
            }
            rooms.withLock { $0[event]?.isSubscribed = true }
        } catch {
            // Pub/Sub is a hint. The looks go on without it, every step, and find what it would have said.
            waitingRoom.logger.debug("queue feed is not subscribed", metadata: ["error": "\(error)"])
        }
    }

    private func look(_ work: Work, _ event: EventID) async throws {
        // Nobody ever queued, or the queue is gone with its event: then nobody has a place.
        let found =
            try await waitingRoom.standings(of: work.users, in: event)
            ?? QueueScripts.Standings(summary: .empty, places: work.users.map { _ in QueuePlace.none })
        // Read after the standings and after subscribing: what moves into the prefix meanwhile comes with a tick.
        let gone = work.isBehind ? try await waitingRoom.gonePlaces(event) : nil
        rooms.withLock { rooms in
            guard rooms[event]?.feed.look(found, of: work.users) == true, let gone else { return }
            rooms[event]?.feed.caughtUp(gone: gone, tick: found.summary.tick, epoch: found.summary.epoch)
        }
    }
}

extension QueueSummary {
    static let empty = QueueSummary(
        epoch: 0,
        tick: 0,
        prefix: 0,
        waiting: 0,
        lobby: 0,
        active: 0,
        admittedTotal: 0,
        pace: QueuePace()
    )
}

extension WaitingRoom {
    /// The places above the prefix that are gone, read in pieces: the set only grows, or moves into the prefix.
    func gonePlaces(_ event: EventID) async throws -> [Int64] {
        let key = RedisArgument(WaitingRoomKeys.gone(event))
        var places: [Int64] = []
        var after = "-inf"
        while true {
            let piece =
                try await redis.send(
                    RedisCommand("ZRANGEBYSCORE", key, RedisArgument(after), "+inf", "LIMIT", "0", "5000")
                ).array ?? []
            let read = piece.compactMap { $0.int.map(Int64.init) }
            places += read
            guard piece.count == 5_000, let last = read.last else { return places }
            after = "(\(last)"
        }
    }
}
