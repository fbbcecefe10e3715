import Accounts
import EngineIOServer
import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import NIOHTTP1
import Sessions

/// `/api/auth/*`: register, sign in, renew, look, sign out.
struct AccountRoutes: Sendable {
    let accounts: Accounts
    let sessions: Sessions
    let throttle: LoginThrottle
    let audit: AuditLog
    let authenticator: Authenticator
    let refusals = RefusalAudit()
    /// With `DUPLICATE_LOGIN=reject` registering signs nobody in: the session it made would refuse the first login.
    let registrationSignsIn: Bool

    func add(to router: Router<GatewayContext>) {
        let group = router.group("api/auth")
        group.post("register", use: register)
        group.post("login", use: login)
        group.post("refresh", use: refresh)
        group.get("me", use: me)
        group.post("logout", use: logout)
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
            try await audit.record("account.created", actor: nil, subject: user.userID, address: context.ipAddress)
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
            try await record("sign-in", user.userID, context, ["session": signIn.sessionHandle.rawValue])
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
        do {
            try refuseIfThrottled(await throttle.admit(user: claimed, address: address))
        } catch let problem as Problem {
            if refusals.isNews(of: claimed, from: address) { try await refuse("throttled", claimed, context) }
            throw problem
        }
        switch try await accounts.authenticate(userID: body.user_id, password: body.password) {
        case .wrongCredentials:
            try await refuse("wrong-credentials", claimed, context)
            try refuseIfThrottled(await throttle.recordWrong(user: claimed, address: address))
            throw Problem(.invalidCredentials, "The user id or the password is wrong.")
        case .disabled:
            try await refuse("account-disabled", claimed, context)
            throw Problem(.accountDisabled, "The account is disabled.")
        case .busy(let seconds):
            throw Problem(.tooManyRequests, "Too many people sign in right now.", retryAfterSeconds: seconds)
        case .authenticated(let account):
            let user = SessionUser(account)
            try await throttle.recordRight(user: user.userID, address: address)
            switch try await sessions.create(for: user, client: client(request, context)) {
            case .alreadySignedIn:
                try await refuse("already-signed-in", claimed, context)
                throw Problem(.alreadySignedIn, "You are signed in on another device. Sign out there first.")
            case .created(let signIn):
                try await record("sign-in", user.userID, context, ["session": signIn.sessionHandle.rawValue])
                return signedIn(signIn, user)
            }
        }
    }

    private func record(
        _ action: String,
        _ user: UserID,
        _ context: GatewayContext,
        _ facts: [String: String] = [:]
    ) async throws {
        try await audit.record(action, actor: user, subject: user, address: context.ipAddress, facts: facts)
    }

    private func refuse(_ why: String, _ claimed: UserID?, _ context: GatewayContext) async throws {
        try await audit.record(
            "sign-in.refused",
            actor: nil,
            subject: claimed,
            address: context.ipAddress,
            facts: ["reason": why]
        )
    }

    private func refuseIfThrottled(_ decision: ThrottleDecision) throws(Problem) {
        guard case .refused(let seconds) = decision else { return }
        throw .tooManyAttempts(seconds)
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
        .json(bytes: UserPayload(try await authenticator.signedIn(request).user).json)
    }

    /// What every page asks first and most often takes the direct way.
    func direct(logger: Logger) -> [String: DirectRoutes.Respond] {
        let authenticator = authenticator
        return [
            "/api/auth/me": { head in
                do {
                    let signedIn = try await authenticator.signedIn(
                        authorization: head.headers.first(name: "authorization") ?? "",
                        namedSession: head.headers.first(name: "x-session-id")
                    )
                    return .json(UserPayload(signedIn.user).json)
                } catch {
                    return DirectAnswer(describing: error, logger: logger)
                }
            }
        ]
    }

    private func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        _ = try await sessions.end(signedIn.session.handle, of: signedIn.userID, reason: .logout)
        try await record("sign-out", signedIn.userID, context, ["session": signedIn.session.handle.rawValue])
        var response = Response.json(MessagePayload(message: "Successfully logged out"))
        response.clearSessionCookies()
        return response
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
