import Crypto
import FoundationEssentials
package import HoldfastCore
package import Redis

/// Whether someone may try a password now.
package enum ThrottleDecision: Sendable, Equatable {
    case allowed
    /// 429 with this `Retry-After`.
    case refused(retryAfterSeconds: Int)
}

/// Slows down who guesses passwords, by account and by address.
///
/// Ask ``admit(user:address:)`` before hashing, for a hash is what an attacker can make us pay. What was wrong is counted
/// afterwards, so attempts that are under way at one moment all pass; the bounded line of the password hasher keeps
/// those few.
///
/// - An account allows 9 wrong passwords in 15 minutes. Addresses from which its owner signed in within 30 days, at most
///   16, are counted each for itself, so that a stranger elsewhere cannot lock the owner out.
/// - An address has 1,200 units of work a minute. A wrong password costs 20, so the 60th is refused; a right one or a
///   registration costs 1, for a whole office may stand behind one address.
///
/// Redis holds addresses only as hashes, and every counter expires.
package struct LoginThrottle: Sendable {
    static let wrongLimit = 10
    static let wrongWindow = Duration.seconds(900)
    static let workLimit = 1_200
    static let workWindow = Duration.seconds(60)
    static let wrongWork = 20
    static let rightWork = 1

    private static let wrongPassword = RedisScript(
        name: "WrongPassword",
        source: PackageResources.WrongPassword_lua
    )
    private static let signInWork = RedisScript(name: "SignInWork", source: PackageResources.SignInWork_lua)

    private let redis: RedisClient

    package init(redis: RedisClient) { self.redis = redis }

    /// - Parameter user: nil for registrations and for names that cannot be an account's.
    package func admit(user: UserID?, address: String) async throws(RedisError) -> ThrottleDecision {
        let hash = Self.hash(address)
        var calls = [work(0, hash)]
        if let user { calls.append(wrong("ask", user, hash)) }
        let counts = try await run(calls)
        if counts[0].count >= Self.workLimit - Self.wrongWork { return .refused(retryAfterSeconds: counts[0].seconds) }
        // The attempt to come would be the tenth.
        if counts.count > 1, counts[1].count >= Self.wrongLimit - 1 {
            return .refused(retryAfterSeconds: counts[1].seconds)
        }
        return .allowed
    }

    /// Counts a wrong password. Refused means: answer 429 instead of 401, as this was one too many.
    package func recordWrong(user: UserID?, address: String) async throws(RedisError) -> ThrottleDecision {
        let hash = Self.hash(address)
        var calls = [work(Self.wrongWork, hash)]
        if let user { calls.append(wrong("wrong", user, hash)) }
        let counts = try await run(calls)
        if counts.count > 1, counts[1].count >= Self.wrongLimit {
            return .refused(retryAfterSeconds: counts[1].seconds)
        }
        return .allowed
    }

    /// Counts a registration, whether or not it will be one.
    package func recordWork(address: String) async throws(RedisError) {
        _ = try await run([work(Self.rightWork, Self.hash(address))])
    }

    /// Remembers the address as one of the owner's.
    package func rememberOwner(user: UserID, address: String) async throws(RedisError) {
        _ = try await run([wrong("right", user, Self.hash(address))])
    }

    /// Counts a right password, and remembers the address as one of the owner's.
    package func recordRight(user: UserID, address: String) async throws(RedisError) {
        let hash = Self.hash(address)
        _ = try await run([work(Self.rightWork, hash), wrong("right", user, hash)])
    }

    private func work(_ amount: Int, _ hash: String) -> RedisScriptCall {
        RedisScriptCall(
            Self.signInWork,
            keys: [SessionsKeys.work(of: hash)],
            arguments: [RedisArgument(amount), RedisArgument(Self.workWindow.milliseconds)]
        )
    }

    private func wrong(_ action: String, _ user: UserID, _ hash: String) -> RedisScriptCall {
        RedisScriptCall(
            Self.wrongPassword,
            keys: [SessionsKeys.wrongPasswords(for: user), SessionsKeys.knownAddresses(of: user)],
            arguments: [
                RedisArgument(hash), RedisArgument(Self.wrongWindow.milliseconds), RedisArgument(action),
            ]
        )
    }

    private func run(_ calls: [RedisScriptCall]) async throws(RedisError) -> [(count: Int, seconds: Int)] {
        var counts: [(count: Int, seconds: Int)] = []
        for reply in try await redis.eval(calls) {
            if let failure = reply.failure { throw failure }
            guard let items = reply.array, items.count == 2, let count = items[0].int, let milliseconds = items[1].int
            else { throw SessionStore.unexpected(Self.wrongPassword) }
            counts.append((count, max(1, (milliseconds + 999) / 1_000)))
        }
        return counts
    }

    private static func hash(_ address: String) -> String {
        base64URL(SHA256.hash(data: Data("holdfast address \(address)".utf8)).prefix(16))
    }
}
