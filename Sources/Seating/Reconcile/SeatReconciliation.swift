package import HoldfastCore
import Logging
import Postgres
import Redis

/// Compares the claims that Redis knows with those of PostgreSQL, which decides, and corrects Redis.
///
/// The outbox brings every claim to Redis, so there should never be anything to correct; this finds what a fault of ours
/// or a hand in Redis has done, before a person does. A difference counts when it is there twice with a pause between,
/// the outbox has no word about it under way, and the script that corrects finds it once more.
///
/// - Bounds: ``page`` places in one script and one statement, with a pause after each that leaves the stores to others.
struct SeatReconciliation: Sendable {
    static let page = 500
    /// As many as one round corrects; more is a loss of Redis, and the next round goes on.
    static let most = 1_000

    let state: SeatState
    let event: EventID
    /// Between pages.
    let breath: Duration
    /// Between the two looks.
    let patience: Duration

    /// What is written of a place: `user|claim` or `|blocked`, empty for nothing.
    struct Difference: Hashable, Sendable {
        let place: String
        let found: String
        let truth: String
    }

    /// - Returns: how many places were corrected.
    func run() async throws -> Int {
        let epoch = try await SeatEpochs.current(of: event, in: state.postgres)
        guard epoch > 0 else { return 0 }
        var corrected = 0
        var differences: [Difference] = []
        var first = 0
        while differences.count < Self.most {
            let truths = try await truths(from: first)
            guard let found = try await compare(truths, epoch) else { return corrected }
            corrected += found.corrected
            differences += found.differences
            guard truths.count == Self.page else { break }
            first += Self.page
            try await Task.sleep(for: breath)
        }
        guard !differences.isEmpty else { return report(corrected, []) }
        try await Task.sleep(for: patience)
        let lasting = try await stillThere(differences, epoch)
        for start in stride(from: 0, to: lasting.count, by: Self.page) {
            let some = lasting[start..<min(start + Self.page, lasting.count)]
            let arguments = some.flatMap { [$0.place, $0.found, $0.truth] }.map { RedisArgument($0) }
            let reply = try await state.run(SeatScript.correct, event, arguments, onlyIn: epoch)
            if reply.status == .ok { corrected += Int(try reply.integer(2)) }
        }
        return report(corrected, lasting)
    }

    private func report(_ corrected: Int, _ differences: [Difference]) -> Int {
        if corrected > 0 {
            state.logger.warning(
                "seats in Redis corrected",
                metadata: [
                    "event.id": "\(event)", "places": "\(corrected)",
                    "some": "\(differences.prefix(5).map(\.place).joined(separator: " "))",
                ]
            )
        }
        return corrected
    }

    // MARK: One look

    /// A place and what PostgreSQL says of it.
    typealias Truth = (place: String, claim: String)

    /// PostgreSQL's places from an ordinal on. Ordinals have no gaps.
    private func truths(from first: Int) async throws -> [Truth] {
        let rows = try await state.postgres.query(
            """
            SELECT s.ordinal, s.seat_id, s.blocked, c.user_id, c.reservation_id::text, c.claim_number
            FROM seats s
            LEFT JOIN seat_claims c ON c.event_id = s.event_id AND c.seat_id = s.seat_id AND c.live
            WHERE s.event_id = \(event.rawValue)::uuid
                AND s.ordinal BETWEEN \(first)::integer AND \(first + Self.page - 1)::integer
            ORDER BY s.ordinal
            """
        )
        return try rows.map { row in
            let (ordinal, seat, isBlocked, user, reservation, number) = try row.decode(
                (Int, String, Bool, String?, String?, Int?).self
            )
            let claim = WrittenClaim.text(user, reservation, number) ?? (isBlocked ? WrittenClaim.blocked : "")
            return ("\(ordinal):\(seat)", claim)
        }
    }

    /// - Returns: nil when the state has begun another life, or is lost: there is nothing to compare with.
    private func compare(_ truths: [Truth], _ epoch: Int64) async throws
        -> (corrected: Int, differences: [Difference])?
    {
        guard !truths.isEmpty else { return (0, []) }
        let places = truths.map { RedisArgument($0.place) }
        let reply = try await state.run(SeatScript.inspect, event, places, onlyIn: epoch)
        guard reply.status == .ok else { return nil }
        let found = try reply.array(3).map { $0.string ?? "" }
        guard found.count == truths.count else { throw reply.unexpected("a claim of each place", at: 3) }
        return (Int(try reply.integer(2)), Self.differences(truths, found))
    }

    /// Redis writes a third part after the claim, its order in the outbox, which PostgreSQL does not keep.
    static func differences(_ truths: [Truth], _ found: [String]) -> [Difference] {
        zip(truths, found).compactMap { truth, found in
            let known = found.split(separator: "|", omittingEmptySubsequences: false).prefix(2).joined(separator: "|")
            return known == truth.claim ? nil : Difference(place: truth.place, found: found, truth: truth.claim)
        }
    }

    /// Those that a second look finds unchanged, and of which no word is on its way.
    private func stillThere(_ differences: [Difference], _ epoch: Int64) async throws -> [Difference] {
        let known = Set(differences)
        var lasting: [Difference] = []
        // Differences that lie together are looked at together.
        var pages = Set<Int>()
        for difference in differences {
            if let ordinal = difference.place.split(separator: ":").first.flatMap({ Int($0) }) {
                pages.insert(ordinal / Self.page)
            }
        }
        for page in pages.sorted() {
            let truths = try await truths(from: page * Self.page)
            guard let found = try await compare(truths, epoch) else { return [] }
            lasting += found.differences.filter(known.contains)
            try await Task.sleep(for: breath)
        }
        let underWay = try await underWay(lasting.flatMap { [$0.found, $0.truth] })
        return lasting.filter { difference in
            ![difference.found, difference.truth].contains { underWay.contains(Self.reservation($0)) }
        }
    }

    /// Reservations of which the outbox has still to tell Redis.
    private func underWay(_ claims: [String]) async throws -> Set<String> {
        let reservations = Set(claims.map(Self.reservation)).filter { ReservationID($0) != nil }
        guard !reservations.isEmpty else { return [] }
        let rows = try await state.postgres.query(
            """
            SELECT DISTINCT reservation_id::text FROM outbox
            WHERE reservation_id = ANY(\(Array(reservations))::uuid[])
            """
        )
        return Set(try rows.map { try $0.decode(String.self) })
    }

    /// Of `user|reservation:number|order`; something that is no reservation's id if there is none.
    private static func reservation(_ claim: String) -> String {
        let parts = claim.split(separator: "|", omittingEmptySubsequences: false)
        return parts.count > 1 ? String(parts[1].prefix { $0 != ":" }) : ""
    }
}

extension Seating {
    /// Looks once whether Redis and PostgreSQL agree about every place of an event, and corrects Redis.
    ///
    /// - Returns: how many places were corrected; more than 0 is worth somebody's attention.
    package func reconcile(
        _ event: EventID,
        breath: Duration = .milliseconds(50),
        patience: Duration = .seconds(2)
    ) async throws -> Int {
        let corrected = try await SeatReconciliation(
            state: state,
            event: event,
            breath: breath,
            patience: patience
        ).run()
        if corrected > 0 { snapshots.forget(nil, of: event) }
        return corrected
    }
}
