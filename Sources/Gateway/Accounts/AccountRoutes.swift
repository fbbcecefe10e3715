import Accounts
import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import Sessions

/// `/api/auth/*`: register, sign in, renew, look, sign out.
struct AccountRoutes: Sendable {
    let accounts: Accounts
    let sessions: Sessions
    let throttle: LoginThrottle
    let audit: AuditLog
    let authenticator: Authenticator
    /// With `DUPLICATE_LOGIN=reject` registering signs nobody in: the session it made would refuse the first login.
    let registrationSignsIn: Bool

    func add(to router: Router<GatewayContext>) {
        let group = router.group("api/auth")
        group.post("register", use: register)
        group.post("login", use: login)
        group.post("refresh", use: refresh)
        group.get("me", use: me)
        group.post("logout", use: logout)
        group.get("active-sessions", use: activeSessions)
    }

    private func register(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.json(RegisterRequest.self)
        try refuseIfThrottled(await throttle.admit(user: nil, address: context.ipAddress))
        // Counted before the hash, which is what an attacker could make us pay; and who only asks for names pays too.
        try await throttle.recordWork(address: context.ipAddress)
        let outcome = try await accounts.register(
            userID: body.user_id,
            password: body.password,
            name: body.user_name,
            email: body.email
        )
        switch outcome {
        case .exists:
            throw Problem(.userExists, "This user id is taken.")
        case .busy(let seconds):
            throw Problem(.tooManyRequests, "Too many people register right now.", retryAfterSeconds: seconds)
        case .registered(let account):
            let user = SessionUser(account)
            var response = Response.json(UserPayload(user), status: .created)
            if registrationSignsIn, let signIn = await firstSignIn(user, request, context) {
                response.setSessionCookies(signIn)
            }
            return response
        }
    }

    /// The account is made, and to say otherwise would be wrong: who cannot be signed in now does so by themselves.
    private func firstSignIn(_ user: SessionUser, _ request: Request, _ context: GatewayContext) async -> SignIn? {
        do {
            guard case .created(let signIn) = try await sessions.create(for: user, client: client(request, context))
            else { return nil }
            try await throttle.rememberOwner(user: user.userID, address: context.ipAddress)
            return signIn
        } catch {
            context.logger.warning("registered without signing in", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func login(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.json(LoginRequest.self)
        let claimed = UserID(body.user_id)
        let address = context.ipAddress
        try refuseIfThrottled(await throttle.admit(user: claimed, address: address))
        switch try await accounts.authenticate(userID: body.user_id, password: body.password) {
        case .wrongCredentials:
            try refuseIfThrottled(await throttle.recordWrong(user: claimed, address: address))
            try await audit.record("login.refused", actor: nil, subject: claimed, address: address)
            throw Problem(.invalidCredentials, "The user id or the password is wrong.")
        case .disabled:
            throw Problem(.accountDisabled, "The account is disabled.")
        case .busy(let seconds):
            throw Problem(.tooManyRequests, "Too many people sign in right now.", retryAfterSeconds: seconds)
        case .authenticated(let account):
            let user = SessionUser(account)
            try await throttle.recordRight(user: user.userID, address: address)
            switch try await sessions.create(for: user, client: client(request, context)) {
            case .alreadySignedIn:
                throw Problem(.alreadySignedIn, "You are signed in on another device. Sign out there first.")
            case .created(let signIn):
                return signedIn(signIn, user)
            }
        }
    }

    private func refuseIfThrottled(_ decision: ThrottleDecision) throws(Problem) {
        guard case .refused(let seconds) = decision else { return }
        throw Problem(.tooManyRequests, "Too many attempts. Please wait.", retryAfterSeconds: seconds)
    }

    private func refresh(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.json(RefreshRequest.self)
        switch try await sessions.refresh(body.refresh_token, client: client(request, context)) {
        case .refreshed(let signIn, let user): return signedIn(signIn, user)
        case .invalidToken: throw Problem(.invalidToken, "The refresh token is not valid.")
        case .reused: throw Problem(.refreshTokenReused, "The refresh token was used before; its sessions have ended.")
        case .sessionEnded: throw Problem(.sessionExpired, "The session has ended. Sign in again.")
        case .disabled: throw Problem(.accountDisabled, "The account is disabled.")
        }
    }

    private func me(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .json(UserPayload(try await authenticator.signedIn(request).user))
    }

    private func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        _ = try await sessions.end(signedIn.session.handle, of: signedIn.userID, reason: .logout)
        var response = Response.json(MessagePayload(message: "Successfully logged out"))
        response.clearSessionCookies()
        return response
    }

    private func activeSessions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try await authenticator.administrator(request)
        async let count = sessions.countActive()
        async let users = sessions.activeUsers()
        return .json(ActiveSessionsPayload(active_sessions: try await count, users: try await users))
    }

    private func signedIn(_ signIn: SignIn, _ user: SessionUser) -> Response {
        var response = Response.json(SignInPayload(signIn, user))
        response.setSessionCookies(signIn)
        return response
    }

    private func client(_ request: Request, _ context: GatewayContext) -> ClientInfo {
        ClientInfo(ipAddress: context.ipAddress, userAgent: request.headers[.userAgent] ?? "")
    }
}
