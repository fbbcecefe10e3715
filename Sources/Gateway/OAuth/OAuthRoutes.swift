import Accounts
import HTTPTypes
import HoldfastCore
import Hummingbird
import OAuth
import Sessions

/// `/oauth/*`: signing in at a provider, and what its tokens are good for here.
struct OAuthRoutes: Sendable {
    let front: OAuthFront
    let accounts: Accounts
    let externalAccounts: ExternalAccounts
    let sessions: Sessions
    let throttle: LoginThrottle
    let audit: AuditLog
    let authenticator: Authenticator
    let origins: OriginPolicy

    /// Ties a sign-in to the browser that began it, until it comes back.
    static let browserCookie = "__Host-holdfast-oauth"

    private var redirects: RedirectPolicy {
        RedirectPolicy(listed: front.configuration.redirectURIs, origins: origins)
    }

    func add(to router: Router<GatewayContext>) {
        let group = router.group("oauth")
        group.get("authorize", use: authorize)
        group.get("callback", use: callback)
        group.post("token", use: token)
        group.get("userinfo", use: userinfo)
        group.post("revoke", use: revoke)
        group.get("logout", use: logoutByLink)
        group.post("logout", use: logout)
        group.post("token/validate", use: validate)
        group.post("backchannel-logout", use: backchannelLogout)
        group.get("health", use: health)
    }

    // MARK: Signing in

    private func authorize(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await countWork(context)
        if let type = try request.single("response_type"), type != "code" {
            throw Problem.invalid(.init("response_type", "must be code"))
        }
        if let client = try request.single("client_id"), client != front.configuration.clientID {
            throw Problem.invalid(.init("client_id", "is not this service"))
        }
        let host = request.head.authority
        guard let address = try request.single("redirect_uri") ?? redirects.usual(host: host),
            redirects.allows(address, host: host)
        else { throw Problem(OAuthRefusal.redirectNotAllowed) }
        var wanted = AuthorizationRequest(redirectURI: address)
        wanted.state = try request.single("state")
        wanted.scope = try request.single("scope")
        wanted.challenge = try request.single("code_challenge")
        wanted.challengeMethod = try request.single("code_challenge_method")
        wanted.prompt = try request.single("prompt")
        wanted.loginHint = try request.single("login_hint")
        wanted.browser = request.cookies[Self.browserCookie]?.value
        let redirect = try await front.authorize(wanted).get(Problem.init)
        var response = Self.redirect(to: redirect.url)
        response.setCookie(browserCookie(redirect.browser, maxAge: 600))
        return response
    }

    private func token(_ request: Request, _ context: GatewayContext) async throws -> Response {
        // A form needs no preflight; another site's could sign a visitor in as somebody else.
        if let origin = request.headers[.origin], !origins.allows(origin, host: request.head.authority) {
            throw Problem(.originNotAllowed, "This page may not act for you.")
        }
        let body = try await request.form(OAuthTokenRequest.self)
        switch body.grant_type ?? "authorization_code" {
        case "authorization_code":
            guard let code = body.code else { throw Problem.invalid(.init("code", "is missing")) }
            guard let state = body.state else { throw Problem.invalid(.init("state", "is missing")) }
            var answer = AuthorizationResponse(code: code, state: state)
            answer.verifier = body.code_verifier
            answer.redirectURI = body.redirect_uri
            answer.issuer = body.iss
            answer.browser = request.cookies[Self.browserCookie]?.value
            let (provided, signIn, user) = try await signIn(answer, request, context)
            var response = Response.json(
                OAuthTokenPayload(provided.tokens, session: signIn.sessionHandle.rawValue, user, provided.authorities)
            )
            response.setSessionCookies(signIn)
            return response
        case "refresh_token":
            guard let token = body.refresh_token else { throw Problem.invalid(.init("refresh_token", "is missing")) }
            return try await refresh(token, request, context)
        default:
            throw Problem.invalid(.init("grant_type", "must be authorization_code or refresh_token"))
        }
    }

    /// For who lets the provider send browsers back to the service itself: signed in by cookie, on to the first page.
    private func callback(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let state = try request.single("state") else { throw Problem(OAuthRefusal.unknownState) }
        guard let code = try request.single("code") else { throw Problem(OAuthRefusal.grant) }
        var answer = AuthorizationResponse(code: code, state: state)
        answer.issuer = try request.single("iss")
        answer.browser = request.cookies[Self.browserCookie]?.value
        let (_, signIn, _) = try await signIn(answer, request, context)
        var response = Self.redirect(to: "/")
        response.setSessionCookies(signIn)
        response.setCookie(browserCookie("", maxAge: 0))
        return response
    }

    /// From the provider's answer to a session here: account, session, and the tokens tied to it, in this order.
    private func signIn(
        _ answer: AuthorizationResponse,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> (ProviderSignIn, SignIn, SessionUser) {
        try await countWork(context)
        let outcome = try await front.exchange(answer)
        if case .failure(let refusal) = outcome { try await audit(refusal, context) }
        let provided = try outcome.get(Problem.init)
        let (id, isNew) = try await externalAccounts.signedIn(
            issuer: provided.issuer,
            subject: provided.subject,
            name: provided.name,
            verifiedEmail: provided.verifiedEmail
        )
        try await setGroups(provided.authorities, of: id)
        guard let account = try await accounts.user(id), account.active else {
            await front.refuse(provided)
            try await audit.record(
                "sign-in.refused",
                actor: nil,
                subject: id,
                address: context.ipAddress,
                facts: ["reason": "disabled", "by": "provider"]
            )
            throw Problem(.accountDisabled, "The account is disabled.")
        }
        let user = SessionUser(account)
        let client = ClientInfo(ipAddress: context.ipAddress, userAgent: request.headers[.userAgent] ?? "")
        switch try await sessions.create(for: user, client: client) {
        case .alreadySignedIn:
            await front.refuse(provided)
            throw Problem(.alreadySignedIn, "You are signed in on another device. Sign out there first.")
        case .created(let signIn):
            do {
                try await front.track(provided, user: id, session: signIn.sessionHandle.rawValue)
            } catch {
                // Nobody has been given the session; half a sign-in is none.
                _ = try? await sessions.end(signIn.sessionHandle, of: id, reason: .sessionEnded)
                throw error
            }
            if isNew {
                try await audit.record("account.created", actor: nil, subject: id, address: context.ipAddress)
            }
            try await audit.record(
                "sign-in",
                actor: id,
                subject: id,
                address: context.ipAddress,
                facts: ["session": signIn.sessionHandle.rawValue, "by": "provider"]
            )
            return (provided, signIn, user)
        }
    }

    /// New tokens of the provider, and a new cookie: who signed in by it stays as long as their tokens are refreshed.
    private func refresh(
        _ token: String,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        let (tokens, owner) = try await front.refresh(token) { user, session in
            guard let handle = SessionHandle(session), try await sessions.session(handle, of: user) != nil else {
                return false
            }
            return try await accounts.user(user)?.active == true
        }.get(Problem.init)
        let authorities = try await front.authorities(user: owner.user, session: owner.session) ?? Authorities()
        try await setGroups(authorities, of: owner.user)
        guard let account = try await accounts.user(owner.user), let handle = SessionHandle(owner.session) else {
            throw Problem(OAuthRefusal.grant)
        }
        let user = SessionUser(account)
        let client = ClientInfo(ipAddress: context.ipAddress, userAgent: request.headers[.userAgent] ?? "")
        var response = Response.json(OAuthTokenPayload(tokens, session: owner.session, user, authorities))
        if let renewal = try await sessions.renew(handle, of: user, client: client) {
            response.setSessionCookies(renewal)
        }
        return response
    }

    /// The account is in the provider's groups; who is asked for a group by `REQUIRED_GROUP` is asked for these.
    private func setGroups(_ authorities: Authorities, of user: UserID) async throws {
        guard try await externalAccounts.setGroups(authorities.groups + authorities.roles, of: user) else {
            accounts.forget(user)
            return
        }
        accounts.forget(user)
        try await sessions.announceChange(of: user)
    }

    // MARK: Looking

    private func userinfo(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let signedIn = try await authenticator.signedIn(request)
        let session = signedIn.session.handle.rawValue
        guard try await front.authorities(user: signedIn.userID, session: session) != nil else {
            throw Problem(.notFound, "This session was not made at the provider.")
        }
        guard let (profile, authorities) = try await front.userinfo(user: signedIn.userID, session: session) else {
            throw Problem(.invalidToken, "The provider's access token has ended. Refresh it.")
        }
        guard case .object(var members) = profile else { throw Problem(OAuthRefusal.token) }
        members["user_id"] = .string(signedIn.userID.rawValue)
        members["session_id"] = .string(session)
        members["roles"] = .array(authorities.roles.map { .string($0) })
        members["groups"] = .array(authorities.groups.map { .string($0) })
        members["permissions"] = .array(authorities.permissions.map { .string($0) })
        return .json(JSONValue.object(members))
    }

    private func validate(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.form(OAuthOneTokenRequest.self)
        let header = request.headers[.authorization].flatMap { header -> String? in
            let parts = header.split(separator: " ", maxSplits: 1)
            return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
        }
        guard let token = body.token ?? header else { throw Problem.invalid(.init("token", "is missing")) }
        guard case .valid(let signedIn) = try await sessions.authenticate(token, orElse: authenticator.vouch),
            signedIn.user.grants.mayUseService(of: authenticator.requiredGroup)
        else { return .json(OAuthTokenVerdictPayload.invalid) }
        let authorities = try await front.authorities(
            user: signedIn.userID,
            session: signedIn.session.handle.rawValue
        )
        return .json(OAuthTokenVerdictPayload(signedIn, authorities))
    }

    private func health(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .json(OAuthHealthPayload(try await front.health()))
    }

    // MARK: Answers

    private func countWork(_ context: GatewayContext) async throws {
        if case .refused(let seconds) = try await throttle.admit(user: nil, address: context.ipAddress) {
            throw Problem.tooManyAttempts(seconds)
        }
        try await throttle.recordWork(address: context.ipAddress)
    }

    private func audit(_ refusal: OAuthRefusal, _ context: GatewayContext) async throws {
        let reason: String
        switch refusal {
        case .untrustworthy(let what): reason = "not verified: \(what)"
        case .group: reason = "group"
        case .wrongIssuer: reason = "issuer"
        // Anybody can send these by the thousand; they say nothing of an account.
        default: return
        }
        try await audit.record(
            "sign-in.refused",
            actor: nil,
            subject: nil,
            address: context.ipAddress,
            facts: ["reason": reason, "by": "provider"]
        )
    }

    private func browserCookie(_ value: String, maxAge: Int) -> Cookie {
        Cookie(
            name: Self.browserCookie,
            value: value,
            maxAge: maxAge,
            path: "/",
            secure: true,
            httpOnly: true,
            sameSite: .lax
        )
    }

    static func redirect(to url: String) -> Response {
        Response(status: .found, headers: [.location: url, .cacheControl: "no-store"])
    }
}

extension Result {
    /// The value, or the failure as an error of another kind.
    func get<Other: Error>(_ describe: (Failure) -> Other) throws(Other) -> Success {
        switch self {
        case .success(let value): return value
        case .failure(let failure): throw describe(failure)
        }
    }
}
