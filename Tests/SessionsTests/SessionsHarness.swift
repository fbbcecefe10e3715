import Foundation
import HoldfastCore
import Logging
import Postgres
import Redis
import Synchronization
import TestSupport

@testable import Sessions

/// Sessions over a fresh database and the shared Redis, with users of unique names.
struct SessionsHarness: Sendable {
    struct Unexpected: Error {}

    static let secretA = Data(repeating: 0xA1, count: 32).base64EncodedString()
    static let secretB = Data(repeating: 0xB2, count: 32).base64EncodedString()

    let redis: RedisClient
    let postgres: PostgresClient
    let sessions: Sessions
    let user: SessionUser
    let client = ClientInfo(ipAddress: "192.0.2.7", userAgent: "test browser")
    let disabled = Disabled()

    final class Disabled: Sendable {
        private let ids = Mutex<Set<UserID>>([])
        func insert(_ id: UserID) { ids.withLock { _ = $0.insert(id) } }
        func contains(_ id: UserID) -> Bool { ids.withLock { $0.contains(id) } }
    }

    static func run(
        configure: (inout SessionConfiguration) -> Void = { _ in },
        _ body: (SessionsHarness) async throws -> Void
    ) async throws {
        var configuration = SessionConfiguration(secrets: try SecretRing(secretA))
        configure(&configuration)
        configuration.signInPatience = .seconds(60)
        // A hundred callers for one row on a busy machine wait longer than a person should.
        try await TestPostgres.withDatabase(configure: { $0.acquireTimeout = .seconds(30) }) { postgres in
            try await TestRedis.withClient { redis in
                try await body(try await SessionsHarness(redis, postgres, configuration))
            }
        }
    }

    private init(_ redis: RedisClient, _ postgres: PostgresClient, _ configuration: SessionConfiguration) async throws {
        self.redis = redis
        self.postgres = postgres
        guard let id = UserID("u-\(UUID().uuidString)") else { throw Unexpected() }
        let user = SessionUser(userID: id, name: "Ada", email: "ada@b.example", role: .admin, active: true)
        self.user = user
        _ = try await postgres.query(
            """
            INSERT INTO users (user_id, user_name, email, role, password_hash)
            VALUES (\(id.rawValue), 'Ada', 'ada@b.example', 'admin', '!')
            """
        )
        let disabled = disabled
        sessions = await Self.sessions(redis, postgres, configuration, user, disabled)
    }

    private static func sessions(
        _ redis: RedisClient,
        _ postgres: PostgresClient,
        _ configuration: SessionConfiguration,
        _ user: SessionUser,
        _ disabled: Disabled
    ) async -> Sessions {
        await Sessions(
            redis: redis,
            postgres: postgres,
            configuration: configuration,
            logger: Logger(label: "test")
        ) { asked in
            guard asked == user.userID || asked.rawValue.hasPrefix("load-") else { return nil }
            return SessionUser(
                userID: asked,
                name: user.name,
                email: user.email,
                role: user.role,
                active: !disabled.contains(asked)
            )
        }
    }

    /// Another instance, perhaps configured otherwise.
    func instance(_ configuration: SessionConfiguration) async -> Sessions {
        await Self.sessions(redis, postgres, configuration, user, disabled)
    }

    func signIn() async throws -> SignIn { try Self.created(try await sessions.create(for: user, client: client)) }

    static func created(_ outcome: CreateOutcome) throws -> SignIn {
        guard case .created(let signIn) = outcome else { throw Unexpected() }
        return signIn
    }

    func refresh(_ token: String) async throws -> SignIn {
        guard case .refreshed(let signIn, _) = try await sessions.refresh(token, client: client)
        else { throw Unexpected() }
        return signIn
    }

    func authenticate(_ token: String) async throws -> SignedIn {
        guard case .valid(let signedIn) = try await sessions.authenticate(token) else { throw Unexpected() }
        return signedIn
    }

    /// As if Redis had lost the session.
    func wipe(_ handle: SessionHandle) async throws {
        _ = try await redis.send(
            RedisCommand(
                "DEL",
                RedisArgument(SessionsKeys.session(handle, of: user.userID)),
                RedisArgument(SessionsKeys.index(of: user.userID))
            )
        )
    }
}

extension SessionCheck {
    var word: String {
        switch self {
        case .valid: "valid"
        case .invalidToken: "invalid token"
        case .sessionExpired: "session expired"
        case .disabled: "disabled"
        }
    }
}

extension RefreshOutcome {
    var word: String {
        switch self {
        case .refreshed: "refreshed"
        case .invalidToken: "invalid token"
        case .reused: "reused"
        case .sessionEnded: "session ended"
        case .disabled: "disabled"
        }
    }
}
