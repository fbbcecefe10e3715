import Redis
import Synchronization

/// Whether the sessions in Redis have been compared with what PostgreSQL knows of their ends, since Redis last served
/// from another history.
///
/// Histories are numbered as this instance meets them. What was read from Redis counts only if the history was compared
/// before the question and is still the same after the answer.
final class RedisHistory: Sendable {
    private let latest = Atomic<Int>(0)
    private let compared = Atomic<Int>(0)

    /// Redis serves from another history than before, perhaps.
    func changed() { latest.add(1, ordering: .sequentiallyConsistent) }

    /// The history that is not compared yet; nil when all is well.
    var uncompared: Int? {
        let number = latest.load(ordering: .sequentiallyConsistent)
        return number == compared.load(ordering: .sequentiallyConsistent) ? nil : number
    }

    /// Called by the one who compares.
    func compared(_ number: Int) { compared.store(number, ordering: .sequentiallyConsistent) }

    /// - Throws: ``RedisError``, retryable: what Redis says of sessions counts for nothing now.
    func current() throws(RedisError) -> Int {
        let number = latest.load(ordering: .sequentiallyConsistent)
        guard number == compared.load(ordering: .sequentiallyConsistent) else { throw Self.uncertain }
        return number
    }

    /// - Throws: ``RedisError``, retryable, if it is another one than when the question was asked.
    func requireStill(_ number: Int) throws(RedisError) {
        guard try current() == number else { throw Self.uncertain }
    }

    private static let uncertain = RedisError(
        .unavailable,
        "Redis serves from another history, whose sessions are being compared with those that ended"
    )
}
