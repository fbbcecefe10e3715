import Configuration
import Events
import Foundation
import HoldfastCore
import Logging
import NIOPosix
import Postgres
import Redis
import Seating
import TestSupport
import Testing

@testable import Gateway

/// One row of seats on sale, in a database of its own and a Redis.
@Suite(.enabled(if: TestRedis.isConfigured && TestPostgres.isConfigured)) struct RedisLivesRedisTests {
    private static let logger = Logger(label: "test.lives") { _ in SwiftLogNoOpLogHandler() }

    private func withSlices(_ body: (Slices) async throws -> Void) async throws {
        try await TestPostgres.withDatabaseURL { url in
            let variables = [
                "DATABASE_URL": url, "REDIS_URL": TestRedis.url,
                "HOLDFAST_SECRETS": Data((0..<32).map { UInt8($0) }).base64EncodedString(),
            ]
            let slices = try await Slices(
                settings: Settings(
                    config: ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables))
                ),
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: Self.logger
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await slices.postgres.run() }
                group.addTask { try await slices.redis.run() }
                defer { group.cancelAll() }
                try await body(slices)
            }
        }
    }

    private func makeEvent(_ slices: Slices) async throws -> Event {
        let file = EventFile(
            title: "Test",
            venue: "Hall",
            startsAt: ServerTime.now + .seconds(86_400),
            sections: [Section(name: "A", rows: 1, seatsPerRow: 10, price: 150)]
        )
        return try #require(try await slices.events.setStatus(try await slices.events.create(file).id, .open))
    }

    private func choose(_ number: Int, by user: UserID, _ event: Event, _ slices: Slices) async throws -> Selection {
        let seat = SeatID(section: "A", row: 1, number: number)
        let outcome = try await slices.seating.select([seat], by: user, in: event)
        guard case .selected(let selection) = outcome else {
            Issue.record("the seat was to be free: \(outcome)")
            throw CancellationError()
        }
        #expect(selection.seats == [seat])
        return selection
    }

    @Test("Another history of Redis ends the seats' life once, though restoring the event has to be tried again")
    func once() async throws {
        try await withSlices { slices in
            let (event, ann) = (try await makeEvent(slices), try #require(UserID("ann")))
            let before = try await choose(1, by: ann, event, slices)
            let lives = RedisLives(
                redis: slices.redis,
                postgres: slices.postgres,
                seating: slices.seating,
                waitingRoom: slices.waitingRoom,
                logger: Self.logger
            )
            _ = try await slices.postgres.query(
                "INSERT INTO redis_lives (event_id, replication_id) VALUES (\(event.id.rawValue)::uuid, 'gone')"
            )
            // All is done but the last step.
            _ = try await slices.postgres.query(
                "ALTER TABLE redis_lives ADD CONSTRAINT kept CHECK (replication_id = 'gone')"
            )
            await #expect(throws: PostgresError.self) { _ = try await lives.look(nil) }
            let held = try await choose(2, by: ann, event, slices)
            let (fence, fenceBefore) = (try #require(held.fence), try #require(before.fence))
            #expect(fence.epoch > fenceBefore.epoch)

            _ = try await slices.postgres.query("ALTER TABLE redis_lives DROP CONSTRAINT kept")
            let served = try await lives.look(nil)
            #expect(served != nil)
            let now = try await slices.seating.selection(of: ann, in: event)
            #expect(now.fence == fence)
            #expect(now.seats == held.seats)
            let left = try await slices.postgres.query(
                "SELECT count(*) FROM redis_lives WHERE event_id = \(event.id.rawValue)::uuid AND replication_id = 'gone'"
            )
            let count = try left.first?.decode(Int.self)
            #expect(count == 0)
            try await slices.seating.forget(event.id)
        }
    }
}
