package import HoldfastCore
import Logging

package enum RevokeOutcome: Sendable {
    /// Not a token that we gave out, or one that has ended: nothing to do, and nobody is told which (RFC 7009, 2.2).
    case unknown
    /// An access token: it is dead, its session lives.
    case accessToken
    /// A refresh token, and with it what was granted: the session has to end.
    case grant(TrackedOwner)
}

/// Whose sessions a logout token of the provider ends.
package enum BackchannelTarget: Sendable {
    case sessions([TrackedOwner])
    /// All sessions of the account of this subject.
    case subject(issuer: String, subject: String)
}

/// What a session that is about to end has at the provider.
package struct Departure: Sendable {
    let user: UserID
    let session: String
    let grant: ProviderGrant
}

extension OAuthFront {
    /// Takes a token back, here first: what the provider does not hear is dead here all the same.
    package func revoke(_ token: String) async throws -> RevokeOutcome {
        guard (1...TokenAnswer.maxTokenBytes).contains(token.utf8.count) else { return .unknown }
        if let tracked = try await store.tracked(token, .access) {
            try await store.kill(token, expiresAtMs: tracked.expiresAtMs)
            forget(token)
            await revokeQuietly(token, "access_token")
            return .accessToken
        }
        if let tracked = try await store.tracked(token, .refresh) {
            try await store.kill(token, expiresAtMs: tracked.expiresAtMs)
            return .grant(TrackedOwner(user: tracked.user, session: tracked.session))
        }
        return .unknown
    }

    /// What a session has at the provider, to be looked up before it ends: once it has, ``signOut(user:session:)`` may be
    /// on its way from elsewhere.
    package func departure(user: UserID, session: String) async throws -> Departure? {
        try await store.grant(of: session, user: user).map { Departure(user: user, session: session, grant: $0) }
    }

    /// Ends what a session has at the provider, if it has something there. Call it after the session has ended.
    package func signOut(user: UserID, session: String) async throws {
        guard let departure = try await departure(user: user, session: session) else { return }
        _ = try await signOut(departure)
    }

    /// Ends what a session has at the provider: its tokens here and there. Call it after the session has ended.
    ///
    /// - Parameter returnTo: where the provider sends the browser afterwards; must have been checked.
    /// - Returns: where the browser can end the provider's own session; nil if there is no such place.
    package func signOut(
        _ departure: Departure,
        returnTo: String? = nil,
        state: String? = nil
    ) async throws -> String? {
        let (user, session, grant) = (departure.user, departure.session, departure.grant)
        try await store.kill(grant.tokens.accessToken, expiresAtMs: grant.accessExpiresAtMs)
        if let refreshToken = grant.tokens.refreshToken {
            let end = ServerTime.now + configuration.rememberedFor
            try await store.kill(refreshToken, expiresAtMs: end.millisecondsSinceEpoch)
        }
        forget(grant.tokens.accessToken)
        try await store.forgetGrant(of: session, user: user)
        await revokeQuietly(grant.tokens)
        guard let endpoint = await endSessionEndpoint() else { return nil }
        var query = [("client_id", configuration.clientID)]
        if let idToken = grant.tokens.idToken { query.append(("id_token_hint", idToken)) }
        if let returnTo { query.append(("post_logout_redirect_uri", returnTo)) }
        if let returnTo, !returnTo.isEmpty, let state { query.append(("state", state)) }
        return endpoint + (endpoint.contains("?") ? "&" : "?") + FormText.encode(query)
    }

    /// A new session takes the place of one: signing out of it is to reach the provider, too. The tokens that were given
    /// out stay with the old one, and are dead with it.
    package func carry(from old: String, to new: String, of user: UserID) async throws {
        guard let grant = try await store.grant(of: old, user: user) else { return }
        try await store.keepGrant(grant, user: user, session: new)
        try await store.forgetGrant(of: old, user: user)
    }

    private func endSessionEndpoint() async -> String? {
        do { return try await directory.current().endpoints[.logout] } catch {
            logger.debug("provider's logout page not known", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Gives back what the provider gave for somebody who gets no session here.
    package func refuse(_ signIn: ProviderSignIn) async { await revokeQuietly(signIn.tokens) }

    func forget(_ token: String) {
        let hash = TokenStore.hash(token)
        verified.forget(hash)
        introspected.forget(hash)
        profiles.forget(hash)
    }

    // MARK: At the provider

    func revokeQuietly(_ tokens: TokenAnswer) async {
        // The refresh token first: with it the provider ends what it gave out for it.
        if let refreshToken = tokens.refreshToken { await revokeQuietly(refreshToken, "refresh_token") }
        await revokeQuietly(tokens.accessToken, "access_token")
    }

    /// A provider that is away keeps nobody from signing out here; its tokens run out by themselves.
    private func revokeQuietly(_ token: String, _ kind: String) async {
        do {
            let metadata = try await directory.current()
            let answer = try await post(
                .revoke,
                [("token", token), ("token_type_hint", kind)],
                metadata,
                repeats: true
            )
            guard let answer, !answer.isSuccess else { return }
            logger.debug("provider did not revoke a token", metadata: ["status": "\(answer.status)"])
        } catch {
            logger.warning("provider did not hear of a logout", metadata: ["error": "\(error)"])
        }
    }

    // MARK: From the provider

    /// Carries out a logout token of the provider (OpenID Connect Back-Channel Logout 1.0), each once.
    ///
    /// - Parameter end: ends the sessions. If it fails, the token is good for another try.
    package func backchannel(
        _ logoutToken: String,
        end: (BackchannelTarget) async throws -> Void
    ) async throws -> Result<Void, OAuthRefusal> {
        guard let claims = try await verifier.verify(logoutToken, as: .logout, now: Self.now),
            let issuer = claims["iss"]?.string, let id = claims["jti"]?.string
        else { return .failure(.untrustworthy("logout token")) }
        guard try await store.isFirst(id, issuer: issuer) else { return .success(()) }
        do {
            if let providerSession = claims["sid"]?.string {
                let sessions = try await store.sessions(behind: providerSession, issuer: issuer)
                try await end(.sessions(sessions.map { TrackedOwner(user: $0.0, session: $0.1) }))
            } else if let subject = claims["sub"]?.string {
                try await end(.subject(issuer: issuer, subject: subject))
            }
            return .success(())
        } catch {
            try? await store.forgetLogout(id, issuer: issuer)
            throw error
        }
    }
}
