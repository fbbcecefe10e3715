import Crypto
import HoldfastCore
import Postgres

/// Requests that are answered once, however often they are sent.
enum IdempotencyKeys {
    static let maxKeyBytes = 255
    /// How long a key is remembered.
    static let lifetime = "48 hours"

    enum Earlier: Sendable, Equatable {
        case none
        case answered(ReservationID)
        case otherRequest
    }

    /// A fingerprint of what is asked for. The order of the seats does not matter, nor does repetition.
    static func hash(_ seats: [SeatID], in event: EventID) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: Array(event.rawValue.utf8))
        // A seat's id has no control characters, so this text means one set of seats only.
        for seat in Set(seats).sorted() { hash.update(data: Array("\n\(seat)".utf8)) }
        return Array(hash.finalize())
    }

    static func lookUp(_ key: String, of user: UserID) -> PostgresQuery {
        """
        SELECT request_hash, reservation_id::text FROM idempotency_keys
        WHERE user_id = \(user.rawValue) AND key = \(key)
        """
    }

    static func earlier(_ rows: PostgresResult, hash: [UInt8]) throws -> Earlier {
        guard let row = rows.first else { return .none }
        let (knownHash, reservation) = try row.decode(([UInt8], String).self)
        guard knownHash == hash, let id = ReservationID(reservation) else { return .otherRequest }
        return .answered(id)
    }

    /// Whether nobody else works on the key; then it is ours until the transaction ends.
    ///
    /// An advisory lock leaves nothing behind when an instance dies half-way, as a row that says "in flight" would.
    static func lock(_ key: String, of user: UserID) -> PostgresQuery {
        "SELECT pg_try_advisory_xact_lock(hashtextextended(\("hf:idempotency:\(user):\(key)"), 0))"
    }

    static func remember(_ key: String, of user: UserID, hash: [UInt8], reservation: ReservationID) -> PostgresQuery {
        """
        INSERT INTO idempotency_keys (user_id, key, request_hash, status, reservation_id)
        VALUES (\(user.rawValue), \(key), \(hash)::bytea, 201, \(reservation.rawValue)::uuid)
        """
    }

    /// Forgets keys that nobody may still send, at most a thousand.
    static var prune: PostgresQuery {
        """
        DELETE FROM idempotency_keys WHERE (user_id, key) IN (
            SELECT user_id, key FROM idempotency_keys
            WHERE created_at < clock_timestamp() - interval '\(unescaped: lifetime)' LIMIT 1000
        )
        """
    }
}
