// The wire spells these names in snake case, and a reader should find them here as they are.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Accounts
import HoldfastCore
import Hummingbird
import Sessions

/// `/api/admin/users*` and `/api/admin/audit`: accounts as administrators see and change them, and what was done.
struct AdminAccountRoutes: Sendable {
    let accounts: Accounts
    let sessions: Sessions
    let authenticator: Authenticator
    let audit: AuditLog

    func add(to router: Router<GatewayContext>) {
        let group = router.group("api/admin")
        group.get("users", use: list)
        group.get("users/{user_id}", use: one)
        group.patch("users/{user_id}", use: change)
        group.get("audit", use: auditPage)
    }

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.manageAccounts, request)
        let limit = try request.pageLimit()
        let text = request.uri.queryParameters["q"].map(String.init) ?? ""
        let users = try await accounts.search(text, after: try request.userCursor(), limit: limit)
        return .json(
            AccountListPayload(
                users: users.map(AccountPayload.init),
                next_cursor: users.count == limit ? users.last?.userID.rawValue : nil
            )
        )
    }

    private func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.manageAccounts, request)
        guard let user = try await accounts.users([try context.userID()]).first else { throw Problem.noSuchUser }
        return .json(AccountPayload(user))
    }

    /// Disables or enables an account, or changes what it may do; at once on every instance and every open socket.
    ///
    /// PostgreSQL first, then every instance's memory, then the sessions: a request that comes between is refused by
    /// one or the other.
    private func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let admin = try await authenticator.permitted(.manageAccounts, request)
        let body = try await request.json(AccountChangeRequest.self)
        let id = try context.userID()
        let wanted = try body.change()
        try await accounts.requireReach(of: admin, over: id)
        guard let before = try await accounts.users([id]).first else { throw Problem.noSuchUser }
        let givesRights = wanted.role != nil || wanted.groups != nil || wanted.permissions != nil
        if givesRights, !admin.role.isAdministrator || (wanted.role ?? .user) > admin.role {
            throw Problem(.forbidden, "Nobody gives more rights than they have.")
        }
        if id == admin.userID, wanted.active == false || (wanted.role.map { $0 < admin.role } ?? false) {
            throw Problem(.forbidden, "Let another administrator take your own rights.")
        }
        guard let user = try await accounts.update(id, wanted) else { throw Problem.noSuchUser }
        // Written down before it takes effect elsewhere: an act that fails half way is an act too.
        try await audit.record(
            "admin.account.changed",
            actor: admin.userID,
            subject: id,
            address: context.ipAddress,
            facts: facts(wanted)
        )
        try await sessions.announceChange(of: id)
        if !user.active {
            _ = try await sessions.endAll(of: id, reason: .accountDisabled)
        } else if SessionUser(user).grants != SessionUser(before).grants {
            try await sessions.rotateAll(of: id)
        }
        return .json(AccountPayload(user))
    }

    private func facts(_ change: AccountChange) -> [String: String] {
        var facts: [String: String] = [:]
        if let active = change.active { facts["active"] = "\(active)" }
        if let role = change.role { facts["role"] = role.rawValue }
        if let groups = change.groups { facts["groups"] = groups.joined(separator: " ") }
        if let permissions = change.permissions { facts["permissions"] = permissions.joined(separator: " ") }
        return facts
    }

    private func auditPage(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.permitted(.readAudit, request)
        let limit = try request.pageLimit()
        var before: Int64?
        if let cursor = request.cursor {
            guard let id = Int64(cursor), id > 0 else {
                throw Problem.invalid(.init("cursor", "is not one that a page gave"))
            }
            before = id
        }
        var user: UserID?
        if let text = request.uri.queryParameters["user_id"] {
            guard let id = UserID(String(text)) else { throw Problem.invalid(.init("user_id", "is not a user id")) }
            user = id
        }
        let entries = try await audit.page(before: before, limit: limit, about: user)
        return .json(
            AuditPayload(
                entries: entries.map(AuditEntryPayload.init),
                next_cursor: entries.count == limit ? entries.last.map { "\($0.id)" } : nil
            )
        )
    }
}

extension Accounts {
    /// Who is more than oneself is out of reach.
    ///
    /// - Throws: ``Problem`` 403.
    func requireReach(of admin: SignedIn, over id: UserID) async throws {
        guard id != admin.userID, let target = try await users([id]).first else { return }
        if target.role > admin.role { throw Problem(.forbidden, "This account has more rights than you.") }
    }
}

extension Problem {
    static let noSuchUser = Problem(.notFound, "There is no account with this user id.")
}

extension Request {
    /// The last user of the page before.
    func userCursor() throws(Problem) -> UserID? {
        guard let cursor else { return nil }
        guard let user = UserID(cursor) else { throw .invalid(.init("cursor", "is not one that a page gave")) }
        return user
    }
}

extension GatewayContext {
    func userID() throws(Problem) -> UserID {
        guard let id = parameters.get("user_id").flatMap({ UserID($0) }) else { throw .noSuchUser }
        return id
    }
}

// MARK: On the wire

private struct AccountChangeRequest: Decodable {
    let active: Bool?
    let role: Role?
    let groups: [String]?
    let permissions: [String]?

    func change() throws(Problem) -> AccountChange {
        AccountChange(
            active: active,
            role: role,
            groups: try names(groups, "groups"),
            permissions: try names(permissions, "permissions")
        )
    }

    private func names(_ names: [String]?, _ field: String) throws(Problem) -> [String]? {
        guard let names else { return nil }
        var normal: Set<String> = []
        for name in names {
            guard let name = Grants.name(name) else { throw .invalid(.init(field, "has a name that cannot be one")) }
            normal.insert(name)
        }
        guard normal.count <= Grants.most else { throw .invalid(.init(field, "may have at most \(Grants.most)")) }
        return normal.sorted()
    }
}

private struct AccountPayload: Encodable {
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let groups: [String]
    let permissions: [String]
    let active: Bool
    let created_at: ServerTime

    init(_ user: User) {
        user_id = user.userID
        user_name = user.name
        email = user.email
        role = user.role
        groups = user.groups
        permissions = user.permissions
        active = user.active
        created_at = user.createdAt
    }
}

private struct AccountListPayload: Encodable {
    let users: [AccountPayload]
    @Nullable var next_cursor: String?
}

private struct AuditPayload: Encodable {
    let entries: [AuditEntryPayload]
    @Nullable var next_cursor: String?
}

private struct AuditEntryPayload: Encodable {
    let id: Int64
    let at: ServerTime
    let action: String
    @Nullable var actor: String?
    @Nullable var subject: String?
    @Nullable var ip_address: String?
    let facts: [String: String]

    init(_ entry: AuditEntry) {
        id = entry.id
        at = entry.at
        action = entry.action
        actor = entry.actor
        subject = entry.subject
        ip_address = entry.address
        facts = entry.facts
    }
}
