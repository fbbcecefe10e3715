import Foundation
import HoldfastCore
import Postgres

/// The columns of an event in the order that ``Event/init(row:)`` reads them.
enum EventRow {
    static let columns = """
        listing, id::text, title, venue, (extract(epoch FROM starts_at) * 1000)::bigint, currency, status, \
        (extract(epoch FROM opens_at) * 1000)::bigint, max_seats_per_user, hold_seconds, no_orphan_seats, \
        queue_enabled, queue_max_active, queue_rate_per_minute, queue_mode, queue_pass_seconds, queue_paused, \
        sections::text, general_admission::text, layout_version, seat_count, \
        (extract(epoch FROM created_at) * 1000)::bigint, queue_version
        """

    /// - Returns: the event and its place in the list.
    static func decode(_ row: PostgresRow) throws -> (event: Event, listing: Int64) {
        let (
            listing, id, title, venue, startsAt, currency, status, opensAt, maxSeats, holdSeconds, noOrphans,
            queueEnabled, maxActive, ratePerMinute, mode, passSeconds, queuePaused, sections, generalAdmission,
            layoutVersion, seatCount, createdAt, queueVersion
        ) = try row.decode(
            (
                Int64, String, String, String, Int64, String, String, Int64?, Int, Int, Bool, Bool, Int, Int, String,
                Int, Bool, String, String, Int, Int, Int64, Int64
            ).self
        )
        guard let id = EventID(id), let status = EventStatus(rawValue: status), let mode = QueueMode(rawValue: mode)
        else {
            throw PostgresError(.decoding, "events: a row holds an id, status or mode that is none")
        }
        let decoder = JSONDecoder()
        let event = Event(
            id: id,
            title: title,
            venue: venue,
            startsAt: ServerTime(millisecondsSinceEpoch: startsAt),
            currency: currency,
            status: status,
            sale: SaleRules(
                opensAt: opensAt.map { ServerTime(millisecondsSinceEpoch: $0) },
                maxSeatsPerUser: maxSeats,
                holdSeconds: holdSeconds,
                noOrphanSeats: noOrphans
            ),
            queue: QueueRules(
                enabled: queueEnabled,
                maxActive: maxActive,
                ratePerMinute: ratePerMinute,
                mode: mode,
                passSeconds: passSeconds,
                paused: queuePaused
            ),
            sections: try decoder.decode([Section].self, from: Data(sections.utf8)),
            generalAdmission: try decoder.decode([GeneralAdmission].self, from: Data(generalAdmission.utf8)),
            layoutVersion: layoutVersion,
            seatCount: seatCount,
            createdAt: ServerTime(millisecondsSinceEpoch: createdAt),
            queueVersion: queueVersion
        )
        return (event, listing)
    }
}
