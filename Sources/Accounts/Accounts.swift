package import HoldfastCore
package import Logging
package import Postgres

/// Who may sign in: registration, passwords, and looking people up.
///
/// PostgreSQL decides everything here; memory holds looked-up users for at most 30 seconds.
package final class Accounts: Sendable {
    /// Stands where a hash would be in accounts that no password opens. It is not a PHC string, so nothing matches it.
    static let noPassword = "!"

    private let postgres: PostgresClient
    private let passwords: PasswordHasher
    private let logger: Logger
    private let cache = UserCache()
    /// Those who come at one moment are looked up together.
    private let lookups = Gathering<String, UserID, User>()

    package init(postgres: PostgresClient, passwords: PasswordHasher, logger: Logger) {
        self.postgres = postgres
        self.passwords = passwords
        self.logger = logger
    }

    // MARK: Registration

    /// Makes an account.
    ///
    /// - Throws: ``Problem`` `.invalid` naming each bad field; `PostgresError` when the database fails.
    package func register(
        userID: String,
        password: String,
        name: String,
        email: String,
        role: Role = .user
    ) async throws -> RegistrationOutcome {
        let wanted = try Registration(userID: userID, password: password, name: name, email: email)
        // A name that is taken should not cost a hash. The insert below decides all the same.
        guard try await load(wanted.userID) == nil else { return .exists }
        let hash: String
        do {
            hash = try await passwords.hash(wanted.password)
        } catch {
            return .busy(retryAfterSeconds: try Self.retryAfter(error))
        }
        let rows = try await postgres.query(
            """
            INSERT INTO users (user_id, user_name, email, role, password_hash)
            VALUES (\(wanted.userID.rawValue), \(wanted.name), \(wanted.email), \(role.rawValue), \(hash))
            ON CONFLICT (user_id) DO NOTHING
            RETURNING (extract(epoch FROM created_at) * 1000)::bigint
            """
        )
        guard let row = rows.first else { return .exists }
        let createdAtMs = try row.decode(Int64.self)
        return .registered(
            User(
                userID: wanted.userID,
                name: wanted.name,
                email: wanted.email,
                role: role,
                active: true,
                createdAt: ServerTime(millisecondsSinceEpoch: createdAtMs)
            )
        )
    }

    /// Makes `PREFIX1` … `PREFIXcount` for load tests: no password opens them, and repeating it changes nothing.
    ///
    /// - Bounds: `count` 1 to 1,000,000, sent in statements of 20,000 so that each stays far below the time limit.
    package func createMany(prefix: String = "load-", count: Int) async throws -> [UserID] {
        guard (1...1_000_000).contains(count), let last = UserID("\(prefix)\(count)") else {
            throw Problem.invalid(.init("users", "must be 1 to 1000000"))
        }
        let batchSize = 20_000
        for first in stride(from: 1, through: count, by: batchSize) {
            let end = min(first + batchSize - 1, count)
            _ = try await postgres.query(
                """
                INSERT INTO users (user_id, user_name, email, role, password_hash)
                SELECT \(prefix)::text || n, 'Load test ' || n, \(prefix)::text || n || '@example.invalid', 'user', \(Self.noPassword)::text
                FROM generate_series(\(Int64(first))::bigint, \(Int64(end))::bigint) AS n
                ON CONFLICT (user_id) DO NOTHING
                """
            )
        }
        logger.debug("load test users ready", metadata: ["count": "\(count)", "last": "\(last)"])
        return (1...count).compactMap { UserID("\(prefix)\($0)") }
    }

    // MARK: Signing in

    /// Checks a password.
    ///
    /// The same work is done for a user that does not exist, so nobody learns from an answer or its time who has an
    /// account. A hash made with other parameters than today's is replaced on the way.
    package func authenticate(userID: String, password: String) async throws -> AuthenticationOutcome {
        let found: (user: User, hash: String)?
        if let id = UserID(userID) { found = try await loadWithHash(id) } else { found = nil }
        // Longer than any password that could be registered: do not hash it, but do not answer sooner either.
        let isPossible = password.utf8.count <= Registration.maxPasswordBytes
        let verdict: PasswordVerdict
        do {
            verdict = try await passwords.verify(isPossible ? password : "", against: isPossible ? found?.hash : nil)
        } catch {
            return .busy(retryAfterSeconds: try Self.retryAfter(error))
        }
        guard let found, case .right(let needsRehash) = verdict else { return .wrongCredentials }
        guard found.user.active else { return .disabled }
        if needsRehash { await rehash(found.user.userID, password, replacing: found.hash) }
        return .authenticated(found.user)
    }

    private func rehash(_ id: UserID, _ password: String, replacing old: String) async {
        do {
            let hash = try await passwords.hash(password)
            // Only if it is still the hash that was checked: a password changed meanwhile stays changed.
            _ = try await postgres.query(
                """
                UPDATE users SET password_hash = \(hash), updated_at = now()
                WHERE user_id = \(id.rawValue) AND password_hash = \(old)
                """
            )
        } catch {
            // The next sign-in tries again; this one was right and goes through.
            logger.debug("password kept its old parameters")
        }
    }

    /// Seconds to wait, when that is what the error says; otherwise the error itself.
    private static func retryAfter(_ error: PasswordHashingError) throws -> Int {
        switch error {
        case .busy(let seconds): return seconds
        case .cancelled: throw CancellationError()
        case .failed: throw error
        }
    }

    // MARK: Looking up

    /// The user, from memory when asked for within the last 30 seconds; with others who are asked for now if not.
    package func user(_ id: UserID) async throws -> User? {
        if let user = cache.user(id, now: .now) { return user }
        let ticket = cache.ticket()
        let found = try await lookups.value(id, in: "users") { ids in
            Dictionary(try await self.users(ids).map { ($0.userID, $0) }, uniquingKeysWith: { first, _ in first })
        }
        guard let user = found else { return nil }
        cache.keep(user, ticket: ticket, now: .now)
        return user
    }

    /// Makes the next look-up ask PostgreSQL; call it when a message says that the user changed.
    package func forget(_ id: UserID) { cache.forget(id) }

    /// The same of all: messages may have been missed.
    package func forgetAll() { cache.forgetAll() }

    // MARK: Changing

    /// Changes what is given; nil if there is no such account. Other instances follow within 30 seconds, or when told.
    package func update(_ id: UserID, _ change: AccountChange) async throws -> User? {
        let rows = try await postgres.query(
            """
            UPDATE users SET
                active = coalesce(\(change.active as Bool?)::boolean, active),
                role = coalesce(\(change.role?.rawValue as String?)::text, role),
                groups = coalesce(\(change.groups as [String]?)::text[], groups),
                permissions = coalesce(\(change.permissions as [String]?)::text[], permissions),
                updated_at = now()
            WHERE user_id = \(id.rawValue) RETURNING user_id
            """
        )
        cache.forget(id)
        return rows.isEmpty ? nil : try await load(id)
    }

    /// Enables or disables an account; nil if there is none.
    package func setActive(_ id: UserID, _ active: Bool) async throws -> User? {
        try await update(id, AccountChange(active: active))
    }

    // MARK: Many

    /// The accounts of these names, in no order; names without one are left out.
    ///
    /// - Bounds: at most 1,000 names.
    package func users(_ ids: [UserID]) async throws -> [User] {
        try await postgres.query(
            "SELECT \(unescaped: Self.columns) FROM users WHERE user_id = ANY(\(ids.prefix(1_000).map(\.rawValue))::text[])"
        ).map { try Self.user($0) }
    }

    /// Accounts whose name or e-mail address begins like `text`, whatever the case; all for an empty one. By name.
    ///
    /// - Bounds: `limit` is brought into 1 to 100.
    package func search(_ text: String, after last: UserID?, limit: Int) async throws -> [User] {
        let special: Set<Character> = ["\\", "%", "_"]
        let pattern = text.lowercased().filter { $0 != "\0" }.prefix(254).reduce(into: "") { pattern, character in
            pattern += special.contains(character) ? "\\\(character)" : "\(character)"
        }
        return try await postgres.query(
            """
            SELECT \(unescaped: Self.columns) FROM users
            WHERE (lower(user_id) LIKE \(pattern + "%") OR lower(email) LIKE \(pattern + "%"))
              AND user_id > \(last?.rawValue ?? "")
            ORDER BY user_id LIMIT \(Int64(min(max(limit, 1), 100)))::bigint
            """
        ).map { try Self.user($0) }
    }

    // MARK: Rows

    private static let columns = """
        user_id, user_name, email, role, active, (extract(epoch FROM created_at) * 1000)::bigint AS created_ms, groups, permissions
        """

    private func load(_ id: UserID) async throws -> User? { try await loadWithHash(id)?.user }

    private func loadWithHash(_ id: UserID) async throws -> (user: User, hash: String)? {
        let rows = try await postgres.query(
            "SELECT \(unescaped: Self.columns), password_hash FROM users WHERE user_id = \(id.rawValue)"
        )
        guard let row = rows.first else { return nil }
        return (try Self.user(row), try row.decode("password_hash", as: String.self))
    }

    private static func user(_ row: PostgresRow) throws -> User {
        let name = try row.decode("user_id", as: String.self)
        guard let id = UserID(name) else { throw PostgresError(.decoding, "users: a user_id of another shape") }
        return User(
            userID: id,
            name: try row.decode("user_name", as: String.self),
            email: try row.decode("email", as: String.self),
            // The table's constraint allows no other; were there one, it would be given the least rights.
            role: Role(rawValue: try row.decode("role", as: String.self)) ?? .user,
            active: try row.decode("active", as: Bool.self),
            createdAt: ServerTime(millisecondsSinceEpoch: try row.decode("created_ms", as: Int64.self)),
            groups: try row.decode("groups", as: [String].self),
            permissions: try row.decode("permissions", as: [String].self)
        )
    }
}

/// What an administrator changes of an account; nil stays as it is.
package struct AccountChange: Sendable {
    package var active: Bool?
    package var role: Role?
    package var groups: [String]?
    package var permissions: [String]?

    package init(active: Bool? = nil, role: Role? = nil, groups: [String]? = nil, permissions: [String]? = nil) {
        self.active = active
        self.role = role
        self.groups = groups
        self.permissions = permissions
    }
}
