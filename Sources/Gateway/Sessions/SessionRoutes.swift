import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import OAuth
import Sessions

/// `/api/session/*` and `/api/v1/auth/*`: one's own sessions on all devices.
struct SessionRoutes: Sendable {
    let sessions: Sessions
    let authenticator: Authenticator
    let audit: AuditLog
    /// Where people sign in elsewhere; nil without a provider.
    let oauth: OAuthFront?

    func add(to router: Router<GatewayContext>) {
        let own = router.group("api/session")
        own.get("me", use: me)
        own.post("refresh", use: extend)
        let devices = router.group("api/v1/auth")
        devices.post("logout", use: logout)
        devices.post("logout/all", use: logoutAll)
        devices.get("sessions", use: list)
        devices.delete("sessions/{session_id}", use: end)
        devices.post("sessions/rotate", use: rotate)
    }

    private func me(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .json(OwnSessionPayload(try await authenticator.signedIn(request)))
    }

    private func extend(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        guard try await sessions.extend(signedIn.session.handle, of: signedIn.userID) != nil else {
            throw Problem(.sessionExpired, "The session has ended. Sign in again.")
        }
        return .json(MessagePayload(message: "Session refreshed successfully"))
    }

    /// Signs out this device. A page whose access token has run out may show its refresh token instead.
    private func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.jsonIfAny(LogoutRequest.self)
        let owner: (user: UserID, handle: SessionHandle)?
        if let token = body.refresh_token {
            owner = try await sessions.owner(ofRefreshToken: token)
        } else {
            owner = nil
        }
        let (user, handle) = try await leaving(request, owner)
        _ = try await sessions.end(handle, of: user, reason: .logout)
        // The refresh token may be of another device of the same person; another person's is not theirs to end.
        if let owner, owner.user == user, owner.handle != handle {
            _ = try await sessions.end(owner.handle, of: user, reason: .logout)
        }
        let all = body.logout_all_devices == true
        if all { _ = try await sessions.endAll(of: user, reason: .logoutAll) }
        try await record(all ? "sign-out.all" : "sign-out", user, context, ["session": handle.rawValue])
        return cleared(.json(MessagePayload(message: "Successfully logged out")))
    }

    private func leaving(
        _ request: Request,
        _ owner: (user: UserID, handle: SessionHandle)?
    ) async throws -> (UserID, SessionHandle) {
        do {
            let signedIn = try await authenticator.signedIn(request)
            return (signedIn.userID, signedIn.session.handle)
        } catch let problem as Problem where problem.code.status == 401 {
            guard let owner else { throw problem }
            return owner
        }
    }

    private func logoutAll(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let ended = try await sessions.endAll(of: signedIn.userID, reason: .logoutAll)
        try await record("sign-out.all", signedIn.userID, context, ["sessions": "\(ended.sessions)"])
        return cleared(
            .json(
                LogoutAllPayload(
                    sessions_invalidated: ended.sessions,
                    tokens_blacklisted: ended.tokens,
                    timestamp: .now
                )
            )
        )
    }

    private func record(
        _ action: String,
        _ user: UserID,
        _ context: GatewayContext,
        _ facts: [String: String]
    ) async throws {
        try await audit.record(action, actor: user, subject: user, address: context.ipAddress, facts: facts)
    }

    private func cleared(_ response: Response) -> Response {
        var response = response
        response.clearSessionCookies()
        if let name = HTTPField.Name("Clear-Site-Data") { response.headers[name] = #""cookies", "storage""# }
        return response
    }

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let devices = try await sessions.list(of: signedIn.userID)
        return .json(
            DeviceListPayload(
                user_id: signedIn.userID,
                active_sessions: devices.count,
                sessions: devices.map { DevicePayload($0, isCurrent: $0.handle == signedIn.session.handle) }
            )
        )
    }

    private func end(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let handle = context.parameters.get("session_id").flatMap { SessionHandle($0) }
        guard let handle, try await sessions.end(handle, of: signedIn.userID, reason: .sessionEnded) else {
            throw Problem(.notFound, "You have no session with this id.")
        }
        try await record("session.ended", signedIn.userID, context, ["session": handle.rawValue])
        return .json(MessagePayload(message: "Session ended"))
    }

    private func rotate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let signIn = try await sessions.rotate(signedIn)
        await carryGrant(from: signedIn, to: signIn, context)
        try await record("session.rotated", signedIn.userID, context, ["session": signIn.sessionHandle.rawValue])
        var response = Response.json(SignInPayload(signIn, signedIn.user))
        response.setSessionCookies(signIn)
        return response
    }

    /// Signing out of the new session is to reach the provider as well. The old one has ended by now, so a failure must
    /// not cost the person the new one.
    private func carryGrant(from old: SignedIn, to new: SignIn, _ context: GatewayContext) async {
        do {
            try await oauth?.carry(
                from: old.session.handle.rawValue,
                to: new.sessionHandle.rawValue,
                of: old.userID
            )
        } catch {
            context.logger.warning("a rotated session forgot its provider", metadata: ["error": "\(error)"])
        }
    }
}
