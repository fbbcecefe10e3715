import HoldfastCore
import NIOCore
import Redis

/// A sign-in that has begun at ``OAuthFront/authorize(_:)`` and is waiting for the browser to come back.
struct PendingSignIn: Sendable, Codable {
    let redirectURI: String
    /// Ours; nil when the page has one of its own and will show it.
    let verifier: String?
    let nonce: String
    let scope: String
}

/// What ties a state to the browser that began: its cookie, or the PKCE verifier that only it knows.
enum BrowserBinding: Sendable {
    case cookie(String)
    case challenge(String)

    var text: String {
        switch self {
        case .cookie(let value): "cookie:\(value)"
        case .challenge(let value): "challenge:\(value)"
        }
    }
}

/// Sign-ins that have begun, in Redis.
///
/// They are found by state *and* binding together, so a state that another browser began is simply not there, and two
/// browsers that chose the same state do not meet. Taking one removes it: a state is good once.
struct PendingSignIns: Sendable {
    let redis: RedisClient
    let vault: OAuthVault

    func keep(_ pending: PendingSignIn, state: String, binding: BrowserBinding) async throws {
        let key = Self.key(state, binding)
        _ = try await redis.send(try vault.storing(pending, at: key, forMs: OAuthFront.pendingLife.milliseconds))
    }

    func take(state: String, binding: BrowserBinding) async throws -> PendingSignIn? {
        let key = Self.key(state, binding)
        guard let sealed = try await redis.send(RedisCommand("GETDEL", RedisArgument(key))).buffer else { return nil }
        return vault.open(PendingSignIn.self, sealed.readableBytesView, at: key)
    }

    private static func key(_ state: String, _ binding: BrowserBinding) -> String {
        OAuthKeys.pending(digest("pending", state, binding.text))
    }
}
