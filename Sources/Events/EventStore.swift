import Foundation
import HoldfastCore
import Postgres

/// The SQL of events and their seats.
struct EventStore: Sendable {
    let postgres: PostgresClient

    func insert(_ file: EventFile, id: EventID) async throws -> Event {
        let encoder = JSONEncoder()
        let sections = String(decoding: try encoder.encode(file.sections), as: UTF8.self)
        let standing = String(decoding: try encoder.encode(file.generalAdmission), as: UTF8.self)
        let seatCount = file.sections.reduce(0) { $0 + $1.seatCount }
        return try await postgres.withTransaction { transaction in
            let rows = try await transaction.query(
                """
                INSERT INTO events (
                    id, title, venue, starts_at, currency, opens_at, max_seats_per_user, hold_seconds,
                    no_orphan_seats, queue_enabled, queue_max_active, queue_rate_per_minute, queue_mode,
                    queue_pass_seconds, sections, general_admission, seat_count
                ) VALUES (
                    \(id.rawValue)::uuid, \(file.title), \(file.venue),
                    timestamptz 'epoch' + \(file.startsAt.millisecondsSinceEpoch)::bigint * interval '1 millisecond',
                    \(file.currency),
                    timestamptz 'epoch'
                        + \(file.sale.opensAt?.millisecondsSinceEpoch as Int64?)::bigint * interval '1 millisecond',
                    \(file.sale.maxSeatsPerUser), \(file.sale.holdSeconds), \(file.sale.noOrphanSeats),
                    \(file.queue.enabled), \(file.queue.maxActive), \(file.queue.ratePerMinute),
                    \(file.queue.mode.rawValue), \(file.queue.passSeconds), \(sections)::jsonb, \(standing)::jsonb,
                    \(seatCount)
                ) RETURNING \(unescaped: EventRow.columns)
                """
            )
            try await insertSeats(of: file, id, in: transaction)
            guard let row = rows.first else {
                throw PostgresError(.decoding, "events: an insert returned no row")
            }
            return try EventRow.decode(row).event
        }
    }

    /// Seats are made by the server from the sections: 100,000 rows cost one statement and few bytes. Standing areas are
    /// sections of a single row, 0.
    private func insertSeats(of file: EventFile, _ id: EventID, in transaction: PostgresTransaction) async throws {
        let areas = file.generalAdmission
        let names = file.sections.map(\.name) + areas.map(\.name)
        let firstRows = file.sections.map { _ in 1 } + areas.map { _ in 0 }
        let lastRows = file.sections.map(\.rows) + areas.map { _ in 0 }
        let seatsPerRow = file.sections.map(\.seatsPerRow) + areas.map(\.capacity)
        let prices = file.sections.map(\.price) + areas.map(\.price)
        _ = try await transaction.query(
            """
            INSERT INTO seats (event_id, seat_id, section, row_number, seat_number, price, ordinal)
            SELECT \(id.rawValue)::uuid, s.name || '-' || r || '-' || n, s.name, r, n, s.price,
                   row_number() OVER (ORDER BY s.place, r, n) - 1
            FROM unnest(
                \(names)::text[], \(firstRows)::integer[], \(lastRows)::integer[], \(seatsPerRow)::integer[],
                \(prices)::bigint[]
            ) WITH ORDINALITY AS s (name, first_row, last_row, seats_per_row, price, place)
            CROSS JOIN generate_series(s.first_row, s.last_row) AS r
            CROSS JOIN generate_series(1, s.seats_per_row) AS n
            """
        )
        let (blocked, accessible) = (file.blocked.map(\.rawValue), file.accessible.map(\.rawValue))
        guard !blocked.isEmpty || !accessible.isEmpty else { return }
        _ = try await transaction.query(
            """
            UPDATE seats SET
                blocked = seat_id = ANY(\(blocked)::text[]), accessible = seat_id = ANY(\(accessible)::text[])
            WHERE event_id = \(id.rawValue)::uuid AND seat_id = ANY(\(blocked + accessible)::text[])
            """
        )
    }

    func event(_ id: EventID) async throws -> Event? {
        let rows = try await postgres.query(
            "SELECT \(unescaped: EventRow.columns) FROM events WHERE id = \(id.rawValue)::uuid"
        )
        return try rows.first.map { try EventRow.decode($0).event }
    }

    /// The version of each event that exists; it rises with every change.
    func versions(of ids: [EventID]) async throws -> [EventID: Int64] {
        let rows = try await postgres.query(
            "SELECT id::text, version FROM events WHERE id = ANY(\(ids.map(\.rawValue))::uuid[])"
        )
        var versions: [EventID: Int64] = [:]
        for row in rows {
            let (id, version) = try row.decode((String, Int64).self)
            if let id = EventID(id) { versions[id] = version }
        }
        return versions
    }

    /// Newest first, so that a page stays the same page while events are added.
    func page(before listing: Int64, limit: Int) async throws -> [(event: Event, listing: Int64)] {
        let rows = try await postgres.query(
            """
            SELECT \(unescaped: EventRow.columns) FROM events
            WHERE listing < \(listing)::bigint ORDER BY listing DESC LIMIT \(limit)::bigint
            """
        )
        return try rows.map(EventRow.decode)
    }

    /// The numbered ones.
    func seats(of id: EventID) async throws -> [Seat] {
        let rows = try await postgres.query(
            """
            SELECT seat_id, section, row_number, seat_number, price, ordinal, accessible
            FROM seats WHERE event_id = \(id.rawValue)::uuid AND row_number > 0 ORDER BY ordinal
            """
        )
        return try rows.map { row in
            let (seatID, section, number, seatNumber, price, ordinal, isAccessible) = try row.decode(
                (String, String, Int, Int, Int64, Int, Bool).self
            )
            guard let seatID = SeatID(seatID) else {
                throw PostgresError(.decoding, "seats: a row holds a seat id that is none")
            }
            return Seat(
                id: seatID,
                section: section,
                row: number,
                number: seatNumber,
                price: price,
                ordinal: ordinal,
                isAccessible: isAccessible
            )
        }
    }

    func setBlocked(_ isBlocked: Bool, _ seats: [SeatID], of id: EventID) async throws -> [SeatID] {
        let ids = seats.map(\.rawValue)
        return try await postgres.withTransaction { transaction in
            // In the order of every claim, so that neither waits for the other for ever; a claim sees the block then.
            let results = try await transaction.pipeline([
                """
                SELECT 1 FROM seats WHERE event_id = \(id.rawValue)::uuid AND seat_id = ANY(\(ids)::text[])
                ORDER BY seat_id FOR NO KEY UPDATE
                """,
                """
                UPDATE seats SET blocked = \(isBlocked)
                WHERE event_id = \(id.rawValue)::uuid AND seat_id = ANY(\(ids)::text[]) AND row_number > 0
                    AND NOT EXISTS (
                        SELECT FROM seat_claims c
                        WHERE c.event_id = seats.event_id AND c.seat_id = seats.seat_id AND c.live
                    )
                RETURNING seat_id
                """,
            ])
            return try results[1].compactMap { SeatID(try $0.decode(String.self)) }
        }
    }

    /// - Returns: nil when there is no such event in one of the statuses `status` is reached from.
    func setStatus(_ id: EventID, _ status: EventStatus) async throws -> Event? {
        let rows = try await postgres.query(
            """
            UPDATE events SET status = \(status.rawValue)
            WHERE id = \(id.rawValue)::uuid AND status = ANY(\(status.reachableFrom.map(\.rawValue))::text[])
            RETURNING \(unescaped: EventRow.columns)
            """
        )
        return try rows.first.map { try EventRow.decode($0).event }
    }

    /// At most 100 at once; the rest are found a second later.
    func openDue() async throws -> [Event] {
        let rows = try await postgres.query(
            """
            UPDATE events SET status = 'open'
            WHERE id IN (
                SELECT id FROM events WHERE status = 'scheduled' AND opens_at <= now()
                ORDER BY opens_at LIMIT 100 FOR UPDATE SKIP LOCKED
            ) AND status = 'scheduled'
            RETURNING \(unescaped: EventRow.columns)
            """
        )
        return try rows.map { try EventRow.decode($0).event }
    }

    /// Changes what `change` names, under the event's lock.
    ///
    /// - Parameter version: the one the change is based on; nil for any.
    func update(_ id: EventID, _ change: EventChange, onlyIf version: Int64?) async throws -> EventChangeOutcome {
        try await postgres.withTransaction { transaction in
            let rows = try await transaction.query(
                "SELECT \(unescaped: EventRow.columns) FROM events WHERE id = \(id.rawValue)::uuid FOR UPDATE"
            )
            guard let before = try rows.first.map({ try EventRow.decode($0).event }) else { return .notFound }
            if let version, version != before.version { return .changedMeanwhile(before) }
            let event = try change.applied(to: before)
            if event == before { return .changed(before) }
            let changed = try await transaction.query(
                """
                UPDATE events SET title = \(event.title), venue = \(event.venue),
                    starts_at = timestamptz 'epoch'
                        + \(event.startsAt.millisecondsSinceEpoch)::bigint * interval '1 millisecond',
                    opens_at = timestamptz 'epoch'
                        + \(event.sale.opensAt?.millisecondsSinceEpoch as Int64?)::bigint * interval '1 millisecond',
                    max_seats_per_user = \(event.sale.maxSeatsPerUser), hold_seconds = \(event.sale.holdSeconds),
                    no_orphan_seats = \(event.sale.noOrphanSeats), queue_enabled = \(event.queue.enabled),
                    queue_max_active = \(event.queue.maxActive),
                    queue_rate_per_minute = \(event.queue.ratePerMinute), queue_mode = \(event.queue.mode.rawValue),
                    queue_pass_seconds = \(event.queue.passSeconds), queue_paused = \(event.queue.paused),
                    queue_version = queue_version + \(event.queue == before.queue ? 0 : 1)
                WHERE id = \(id.rawValue)::uuid RETURNING \(unescaped: EventRow.columns)
                """
            )
            return try changed.first.map { .changed(try EventRow.decode($0).event) } ?? .notFound
        }
    }

    /// Removes an event that was never ordered from, with its seats and its queue.
    func delete(_ id: EventID) async throws -> EventDeletion {
        do {
            return try await postgres.withTransaction { transaction in
                let rows = try await transaction.query(
                    "SELECT seat_count FROM events WHERE id = \(id.rawValue)::uuid FOR UPDATE"
                )
                guard let seats = try rows.first?.decode(Int.self) else { return .notFound }
                let ordered = try await transaction.query(
                    "SELECT 1 FROM reservations WHERE event_id = \(id.rawValue)::uuid LIMIT 1"
                )
                guard ordered.isEmpty else { return .hasOrders }
                // In pieces, so that no statement takes longer than a statement may.
                for end in stride(from: Self.seatsPerStatement, through: seats, by: Self.seatsPerStatement) {
                    _ = try await transaction.query(
                        "DELETE FROM seats WHERE event_id = \(id.rawValue)::uuid AND ordinal < \(end)"
                    )
                }
                _ = try await transaction.query("DELETE FROM events WHERE id = \(id.rawValue)::uuid")
                return .deleted
            }
        } catch let error as PostgresError where error.isForeignKeyViolation {
            return .hasOrders  // Made while we deleted.
        }
    }

    private static let seatsPerStatement = 20_000

    func updateQueue(_ id: EventID, _ change: QueueChange) async throws -> Event? {
        let rows = try await postgres.query(
            """
            UPDATE events SET
                queue_max_active = coalesce(\(change.maxActive as Int?)::integer, queue_max_active),
                queue_rate_per_minute = coalesce(\(change.ratePerMinute as Int?)::integer, queue_rate_per_minute),
                queue_pass_seconds = coalesce(\(change.passSeconds as Int?)::integer, queue_pass_seconds),
                queue_paused = coalesce(\(change.paused as Bool?)::boolean, queue_paused),
                queue_version = queue_version + 1
            WHERE id = \(id.rawValue)::uuid
            RETURNING \(unescaped: EventRow.columns)
            """
        )
        return try rows.first.map { try EventRow.decode($0).event }
    }
}
