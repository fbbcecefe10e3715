import Events
import HoldfastCore
import Logging
import Postgres
import Redis
import TestSupport
import Testing

@testable import Seating

/// One row of ten seats, `Floor A-1-1` to `-10`, on sale, in a database of its own and a Redis.
struct TenSeats: Sendable {
    let seating: Seating
    let event: Event
    let redis: RedisClient
    let postgres: PostgresClient

    static func with(_ body: (TenSeats) async throws -> Void) async throws {
        try await TestPostgres.withDatabase { postgres in
            try await TestRedis.withClient { redis in
                let events = Events(postgres: postgres)
                let file = EventFile(
                    title: "Test",
                    venue: "Hall",
                    startsAt: ServerTime.now + .seconds(86_400),
                    sections: [Section(name: "Floor A", rows: 1, seatsPerRow: 10, price: 150)]
                )
                let event = try #require(try await events.setStatus(try await events.create(file).id, .open))
                let seating = Seating(
                    redis: redis,
                    postgres: postgres,
                    events: events,
                    passesKey: { "hf:{event:\($0)}:test-passes" },
                    logger: Logger(label: "test.seats") { _ in SwiftLogNoOpLogHandler() }
                )
                let result: Result<Void, any Error>
                do {
                    result = .success(
                        try await body(TenSeats(seating: seating, event: event, redis: redis, postgres: postgres))
                    )
                } catch { result = .failure(error) }
                try await seating.forget(event.id)
                try result.get()
            }
        }
    }

    static func seat(_ number: Int) -> SeatID { SeatID(section: "Floor A", row: 1, number: number) }
}
