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
            // Seats are made by the server from the sections: 100,000 rows cost one statement and few bytes.
            _ = try await transaction.query(
                """
                INSERT INTO seats (event_id, seat_id, section, row_number, seat_number, price, ordinal)
                SELECT \(id.rawValue)::uuid, s.name || '-' || r || '-' || n, s.name, r, n, s.price,
                       row_number() OVER (ORDER BY s.place, r, n) - 1
                FROM unnest(
                    \(file.sections.map(\.name))::text[], \(file.sections.map(\.rows))::integer[],
                    \(file.sections.map(\.seatsPerRow))::integer[], \(file.sections.map(\.price))::bigint[]
                ) WITH ORDINALITY AS s (name, row_count, seats_per_row, price, place)
                CROSS JOIN generate_series(1, s.row_count) AS r
                CROSS JOIN generate_series(1, s.seats_per_row) AS n
                """
            )
            guard let row = rows.first else {
                throw PostgresError(.decoding, "events: an insert returned no row")
            }
            return try EventRow.decode(row).event
        }
    }

    func event(_ id: EventID) async throws -> Event? {
        let rows = try await postgres.query(
            "SELECT \(unescaped: EventRow.columns) FROM events WHERE id = \(id.rawValue)::uuid"
        )
        return try rows.first.map { try EventRow.decode($0).event }
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

    func seats(of id: EventID) async throws -> [Seat] {
        let rows = try await postgres.query(
            """
            SELECT seat_id, section, row_number, seat_number, price, ordinal
            FROM seats WHERE event_id = \(id.rawValue)::uuid ORDER BY ordinal
            """
        )
        return try rows.map { row in
            let (seatID, section, number, seatNumber, price, ordinal) = try row.decode(
                (String, String, Int, Int, Int64, Int).self
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
                ordinal: ordinal
            )
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
