import Events
import HoldfastCore
import Logging
import NIOCore
import Postgres
import Redis
import TestSupport
import Testing

@testable import Seating

@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured))
struct HoldSweeperRedisTests {
    @Test("A hold that nobody asks about is announced as released when it ends", .timeLimit(.minutes(20)))
    func announcesTheEnd() async throws {
        let logger = Logger(label: "test.sweeper") { _ in SwiftLogNoOpLogHandler() }
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                try await TestRedis.withSubscriber { subscriber in
                    let events = Events(postgres: postgres)
                    let file = EventFile(
                        title: "Test",
                        venue: "Hall",
                        startsAt: ServerTime.now + .seconds(86_400),
                        sale: SaleRules(holdSeconds: 1),
                        sections: [Section(name: "VIP", rows: 1, seatsPerRow: 4, price: 1)]
                    )
                    let created = try await events.create(file)
                    let event = try #require(try await events.setStatus(created.id, .open))
                    let seating = Seating(
                        redis: redis,
                        postgres: postgres,
                        events: events,
                        passesKey: { "hf:{event:\($0)}:passes" },
                        logger: logger
                    )
                    let sweeper = HoldSweeper(
                        seating: seating,
                        redis: redis,
                        postgres: postgres,
                        logger: logger,
                        leaseKey: TestRedis.uniqueKey("lease")
                    )
                    let (messages, sink) = AsyncStream.makeStream(
                        of: SeatMessage.self,
                        bufferingPolicy: .bufferingNewest(16)
                    )
                    try await subscriber.subscribe(Seating.channel(event.id)) { bytes in
                        for case let message? in SeatMessage.all(in: bytes) { sink.yield(message) }
                    }
                    let ann = try #require(UserID("ann"))
                    let seats = [SeatID(section: "VIP", row: 1, number: 1)]
                    let outcome = try await seating.select(seats, by: ann, in: event)
                    guard case .selected(let held) = outcome, let end = held.expiresAt else {
                        Issue.record("not held: \(outcome)")
                        return
                    }
                    // Awaited below.
                    let running = Task { try await sweeper.run() }
                    var seqs: [Int64] = []
                    for await message in messages {
                        if case .change(_, let seq, _, _) = message { seqs.append(seq) }
                        guard case .holdExpired(let user, let gone, let expiresAt, let why) = message else {
                            continue
                        }
                        #expect(user == ann && gone == seats && expiresAt == end && why == .expired)
                        break
                    }
                    #expect(ServerTime.now >= end)
                    #expect(seqs == [held.seq, held.seq + 1])
                    #expect(
                        try await seating.changes(in: event, since: held.seq)
                            == .changes(
                                seq: held.seq + 1,
                                [SeatChange(seq: held.seq + 1, kind: .released, seatIDs: seats)]
                            )
                    )
                    running.cancel()
                    _ = await running.result
                    _ = try await redis.send(
                        RedisCommand("DEL", arguments: SeatingKeys(event: event.id).all.map { RedisArgument($0) })
                    )
                }
            }
        }
    }
}
