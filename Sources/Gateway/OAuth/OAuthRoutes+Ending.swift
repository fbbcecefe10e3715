import Accounts
import HTTPTypes
import HoldfastCore
import Hummingbird
import OAuth
import Sessions

extension OAuthRoutes {
    func revoke(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.form(OAuthOneTokenRequest.self)
        guard let token = body.token else { throw Problem.invalid(.init("token", "is missing")) }
        if case .grant(let owner) = try await front.revoke(token) {
            try await end([owner], reason: .logout, context)
        }
        // The same for tokens that we do not know (RFC 7009, 2.2).
        return .json(MessagePayload(message: "Revoked"))
    }

    /// Another site may show this link, so a cookie does not count if the browser says that it comes from there.
    func logoutByLink(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if request.headers[.authorization] == nil, let name = HTTPField.Name("Sec-Fetch-Site"),
            request.headers[name] == "cross-site"
        {
            throw Problem(.originNotAllowed, "This page may not sign you out.")
        }
        let wanted = OAuthLogoutRequest(
            post_logout_redirect_uri: try request.single("post_logout_redirect_uri"),
            state: try request.single("state")
        )
        let url = try await signOut(wanted, request, context)
        guard let url = url ?? wanted.post_logout_redirect_uri else {
            return Self.cleared(.json(OAuthLogoutPayload(logout_url: nil)))
        }
        return Self.cleared(Self.redirect(to: url))
    }

    func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let url = try await signOut(try await request.form(OAuthLogoutRequest.self), request, context)
        return Self.cleared(.json(OAuthLogoutPayload(logout_url: url)))
    }

    private func signOut(
        _ wanted: OAuthLogoutRequest,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> String? {
        let signedIn = try await authenticator.signedIn(request)
        let policy = RedirectPolicy(listed: front.configuration.postLogoutRedirectURIs, origins: origins)
        if let address = wanted.post_logout_redirect_uri, !policy.allows(address, host: request.head.authority) {
            throw Problem(OAuthRefusal.redirectNotAllowed)
        }
        let session = signedIn.session.handle
        let departure = try await front.departure(user: signedIn.userID, session: session.rawValue)
        _ = try await sessions.end(session, of: signedIn.userID, reason: .logout)
        try await record("sign-out", signedIn.userID, session.rawValue, context)
        guard let departure else { return nil }
        return try await front.signOut(departure, returnTo: wanted.post_logout_redirect_uri, state: wanted.state)
    }

    /// The provider says that somebody has signed out there.
    func backchannelLogout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try await request.form(OAuthOneTokenRequest.self)
        guard let token = body.logout_token else { throw Problem.invalid(.init("logout_token", "is missing")) }
        try await front.backchannel(token) { target in
            switch target {
            case .sessions(let owners): try await end(owners, reason: .sessionEnded, context)
            case .subject(let issuer, let subject):
                guard let user = try await externalAccounts.find(issuer: issuer, subject: subject) else { return }
                _ = try await sessions.endAll(of: user, reason: .sessionEnded)
                try await record("sign-out.all", user, nil, context)
            }
        }.get(Problem.init)
        return .json(MessagePayload(message: "Signed out"))
    }

    private func end(_ owners: [TrackedOwner], reason: SessionEndReason, _ context: GatewayContext) async throws {
        for owner in owners {
            guard let handle = SessionHandle(owner.session) else { continue }
            if try await sessions.end(handle, of: owner.user, reason: reason) {
                try await record("sign-out", owner.user, owner.session, context)
            }
            try await front.signOut(user: owner.user, session: owner.session)
        }
    }

    private func record(_ action: String, _ user: UserID, _ session: String?, _ context: GatewayContext) async throws {
        var facts = ["by": "provider"]
        if let session { facts["session"] = session }
        try await audit.record(action, actor: user, subject: user, address: context.ipAddress, facts: facts)
    }

    private static func cleared(_ response: Response) -> Response {
        var response = response
        response.clearSessionCookies()
        if let name = HTTPField.Name("Clear-Site-Data") { response.headers[name] = #""cookies", "storage""# }
        return response
    }
}
