import HTTPTypes
import HoldfastCore
import Hummingbird
import Sessions

/// `/api/session/*` and `/api/v1/auth/*`: one's own sessions on all devices.
struct SessionRoutes: Sendable {
    let sessions: Sessions
    let authenticator: Authenticator

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

    private func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let body = try await request.jsonIfAny(LogoutRequest.self)
        _ = try await sessions.end(signedIn.session.handle, of: signedIn.userID, reason: .logout)
        if body.logout_all_devices == true {
            _ = try await sessions.endAll(of: signedIn.userID, reason: .logoutAll)
        }
        return cleared(.json(MessagePayload(message: "Successfully logged out")))
    }

    private func logoutAll(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let ended = try await sessions.endAll(of: signedIn.userID, reason: .logoutAll)
        return cleared(.json(LogoutAllPayload(sessions_invalidated: ended, tokens_blacklisted: ended, timestamp: .now)))
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
        return .json(MessagePayload(message: "Session ended"))
    }

    private func rotate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let signIn = try await sessions.rotate(signedIn)
        var response = Response.json(SignInPayload(signIn, signedIn.user))
        response.setSessionCookies(signIn)
        return response
    }
}
