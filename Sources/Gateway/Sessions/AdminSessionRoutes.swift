import Accounts
import HoldfastCore
import Hummingbird
import Sessions

/// `/api/session/*` for administrators: everybody's sessions, and ending them.
struct AdminSessionRoutes: Sendable {
    let accounts: Accounts
    let sessions: Sessions
    let authenticator: Authenticator
    let audit: AuditLog
    let active = RecentAnswer<ActiveSessionsPayload>(lifetime: .seconds(5))

    func add(to router: Router<GatewayContext>) {
        router.get("api/auth/active-sessions", use: activeSessions)
        let group = router.group("api/session")
        group.get("all", use: all)
        group.get("stats", use: statistics)
        group.post("cleanup", use: cleanUp)
        group.get("user/{user_id}", use: ofUser)
        group.delete("user/{user_id}", use: endUser)
        group.delete("user/{user_id}/{session_id}", use: endOne)
    }

    private func activeSessions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.readSessions, request)
        let answer = try await active.value {
            async let count = sessions.countActive()
            async let users = sessions.activeUsers()
            return ActiveSessionsPayload(active_sessions: try await count, users: try await users)
        }
        return .json(answer)
    }

    /// `role` shows those of one role; `q` those of people whose name or e-mail address begins like that.
    private func all(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.readSessions, request)
        let limit = try request.pageLimit()
        if let text = request.uri.queryParameters["q"] { return try await search(String(text), request, limit) }
        var role: Role?
        if let text = request.uri.queryParameters["role"] {
            guard let known = Role(rawValue: String(text)) else {
                throw Problem.invalid(.init("role", "must be user, admin or super_admin"))
            }
            role = known
        }
        let page = try await sessions.page(role: role, after: request.cursor, limit: limit)
        return .json(
            SessionListPayload(
                sessions: try await payloads(page.sessions),
                total: page.total,
                next_cursor: page.next
            )
        )
    }

    private func search(_ text: String, _ request: Request, _ limit: Int) async throws -> Response {
        let users = try await accounts.search(text, after: try request.userCursor(), limit: limit)
        let found = try await sessions.sessions(of: users.map(\.userID))
        let known = Dictionary(uniqueKeysWithValues: users.map { ($0.userID, SessionUser($0)) })
        return .json(
            SessionListPayload(
                sessions: found.map { SessionPayload($0, known[$0.userID]) },
                total: found.count,
                next_cursor: users.count == limit ? users.last?.userID.rawValue : nil
            )
        )
    }

    private func payloads(_ sessions: [Session]) async throws -> [SessionPayload] {
        let users = try await accounts.users(Array(Set(sessions.map(\.userID))))
        let known = Dictionary(uniqueKeysWithValues: users.map { ($0.userID, SessionUser($0)) })
        return sessions.map { SessionPayload($0, known[$0.userID]) }
    }

    private func statistics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.readSessions, request)
        let (all, byRole) = try await sessions.statistics()
        return .json(
            SessionStatisticsPayload(
                total_sessions: all.count,
                sessions_by_role: Dictionary(uniqueKeysWithValues: byRole.map { ($0.key.rawValue, $0.value) }),
                average_ttl: Double(all.averageTTL.milliseconds) / 1_000
            )
        )
    }

    private func ofUser(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.readSessions, request)
        let found = try await sessions.list(of: try context.userID())
        return .json(
            SessionListPayload(sessions: try await payloads(found), total: found.count, next_cursor: nil)
        )
    }

    // MARK: Ending

    private func endUser(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (admin, user) = try await mayEnd(request, context)
        let ended = try await sessions.endAll(of: user, reason: .admin)
        try await audit.record(
            "admin.sessions.ended",
            actor: admin.userID,
            subject: user,
            address: context.ipAddress,
            facts: ["sessions": "\(ended.sessions)", "tokens": "\(ended.tokens)"]
        )
        return .json(DeletedPayload(message: "The user is signed out everywhere", deleted_count: ended.sessions))
    }

    private func endOne(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (admin, user) = try await mayEnd(request, context)
        let handle = context.parameters.get("session_id").flatMap { SessionHandle($0) }
        guard let handle, try await sessions.end(handle, of: user, reason: .admin) else {
            throw Problem(.notFound, "The user has no session with this id.")
        }
        try await audit.record(
            "admin.session.ended",
            actor: admin.userID,
            subject: user,
            address: context.ipAddress,
            facts: ["session": handle.rawValue]
        )
        return .json(DeletedPayload(message: "The session has ended", deleted_count: 1))
    }

    private func mayEnd(_ request: Request, _ context: GatewayContext) async throws -> (SignedIn, UserID) {
        let admin = try await authenticator.permitted(.manageSessions, request)
        let user = try context.userID()
        try await accounts.requireReach(of: admin, over: user)
        return (admin, user)
    }

    /// Redis ends sessions by itself; what this finds are entries of lists that a lost connection left behind.
    private func cleanUp(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.permitted(.manageSessions, request)
        let cleaned = try await sessions.strikeEnded() + sessions.cleanUp()
        try await audit.record(
            "admin.sessions.cleaned",
            actor: admin.userID,
            subject: nil,
            address: context.ipAddress,
            facts: ["cleaned": "\(cleaned)"]
        )
        return .json(CleanedPayload(cleaned_count: cleaned))
    }
}
