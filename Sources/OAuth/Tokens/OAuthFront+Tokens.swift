package import HoldfastCore

/// What the provider says of a token.
enum ProviderVerdict: Sendable, Equatable {
    case live(subject: String?)
    case dead
}

/// A token of the provider that is good now, and the session it is good for.
///
/// - Important: it does not say that the session lives and the account is active. Whoever asks has to look.
package struct VouchedToken: Sendable {
    package let user: UserID
    /// The session's handle.
    package let session: String
    package let expiresAt: ServerTime
}

extension OAuthFront {
    // MARK: Every request

    /// Looks at a token that came with a request; nil if it is not a live access token that we gave out.
    ///
    /// Only tokens that were given out by ``exchange(_:)`` or ``refresh(_:isAlive:)`` are looked at, so strangers' tokens
    /// make us ask the provider nothing. A signed one is checked by the provider's keys, another one by asking.
    package func vouch(_ token: String) async throws -> VouchedToken? {
        guard (1...TokenAnswer.maxTokenBytes).contains(token.utf8.count),
            let tracked = try await store.tracked(token, .access)
        else { return nil }
        guard try await isLive(token, for: tracked.subject) else { return nil }
        return VouchedToken(
            user: tracked.user,
            session: tracked.session,
            expiresAt: ServerTime(millisecondsSinceEpoch: tracked.expiresAtMs)
        )
    }

    private func isLive(_ token: String, for subject: String) async throws -> Bool {
        let hash = TokenStore.hash(token)
        var isVerified = verified.value(hash) == subject
        if !isVerified, ProviderTokenVerifier.isSigned(token),
            try await directory.current().endpoints[.jwks] != nil
        {
            guard let claims = try await verifier.verify(token, as: .access, now: Self.now),
                claims["sub"]?.string == subject
            else { return false }
            isVerified = true
            let left = (claims["exp"]?.seconds ?? 0) + ProviderTokenVerifier.leewaySeconds - Self.now
            verified.keep(subject, hash, for: min(Self.verifiedLife, .seconds(left)))
        }
        if isVerified, configuration.introspection == .opaque { return true }
        switch try await verdict(on: token, hash, maySkip: isVerified) {
        case .live(let stated): return stated == nil || stated == subject
        case .dead: return false
        }
    }

    /// Asks the provider, or remembers what it said a moment ago.
    ///
    /// - Parameter maySkip: the signature was right, so a provider with nothing to ask has said enough.
    private func verdict(on token: String, _ hash: String, maySkip: Bool) async throws -> ProviderVerdict {
        if let known = introspected.value(hash) { return known }
        let metadata = try await directory.current()
        let verdict: ProviderVerdict
        if metadata.endpoints[.introspect] != nil {
            let answer = try await post(
                .introspect,
                [("token", token), ("token_type_hint", "access_token")],
                metadata,
                repeats: true
            )
            guard let json = answer?.json, answer?.isSuccess == true, let active = json["active"]?.bool else {
                throw OAuthError(.providerAnswer, "introspection: no verdict, status \(answer?.status ?? 0)")
            }
            let party = json["client_id"]?.string ?? configuration.clientID
            verdict = active && party == configuration.clientID ? .live(subject: json["sub"]?.string) : .dead
        } else if maySkip {
            verdict = .live(subject: nil)
        } else if let profile = try await profile(token, metadata) {
            verdict = .live(subject: profile["sub"]?.string)
        } else {
            verdict = .dead
        }
        introspected.keep(verdict, hash, for: Self.introspectionLife)
        return verdict
    }

    /// What the userinfo endpoint says; nil when it does not take the token.
    func profile(_ token: String, _ metadata: ProviderMetadata) async throws -> JSONValue? {
        let hash = TokenStore.hash(token)
        if let known = profiles.value(hash) { return known }
        guard let url = metadata.endpoints[.userinfo] else { return nil }
        let answer = try await http.get(url, bearer: token)
        guard answer.isSuccess, let profile = answer.json, profile.object != nil else { return nil }
        profiles.keep(profile, hash, for: Self.introspectionLife)
        return profile
    }

    // MARK: What a session has

    /// Who the provider says the session's person is, and what they may do.
    ///
    /// - Returns: nil when the session was not made here, or its access token has ended.
    package func userinfo(user: UserID, session: String) async throws -> (profile: JSONValue, Authorities)? {
        guard let grant = try await store.grant(of: session, user: user),
            grant.accessExpiresAtMs > ServerTime.now.millisecondsSinceEpoch
        else { return nil }
        let metadata = try await directory.current()
        guard let profile = try await profile(grant.tokens.accessToken, metadata),
            profile["sub"]?.string ?? grant.subject == grant.subject
        else { return nil }
        return (profile, grant.authorities)
    }

    /// What somebody may do, as it was at the last exchange; nil for a session that was not made here.
    package func authorities(user: UserID, session: String) async throws -> Authorities? {
        try await store.grant(of: session, user: user)?.authorities
    }

    // MARK: Refreshing

    /// Exchanges a refresh token for new tokens of the same session.
    ///
    /// Providers that rotate take a second use for theft, so one caller exchanges, and others with the same token get
    /// what it got, for ``repeatLife``.
    ///
    /// - Parameter isAlive: whether the session and its account still are; asked before the provider is.
    package func refresh(
        _ refreshToken: String,
        isAlive: (UserID, String) async throws -> Bool
    ) async throws -> Result<(TokenAnswer, TrackedOwner), OAuthRefusal> {
        guard (1...TokenAnswer.maxTokenBytes).contains(refreshToken.utf8.count),
            let tracked = try await store.tracked(refreshToken, .refresh),
            try await isAlive(tracked.user, tracked.session)
        else { return .failure(.grant) }
        let owner = TrackedOwner(user: tracked.user, session: tracked.session)
        if let answer = try await store.successor(of: refreshToken) { return .success((answer, owner)) }
        guard try await store.beginRefresh(refreshToken) else {
            return .success((try await successor(of: refreshToken), owner))
        }
        do {
            // Another may have ended between the two looks.
            if let answer = try await store.successor(of: refreshToken) {
                try await store.endRefresh(refreshToken)
                return .success((answer, owner))
            }
            let answer = try await exchangeRefresh(refreshToken, tracked)
            try await store.endRefresh(refreshToken)
            return answer.map { ($0, owner) }
        } catch {
            // Runs out by itself if Redis is what failed.
            try? await store.endRefresh(refreshToken)
            throw error
        }
    }

    private func successor(of refreshToken: String) async throws -> TokenAnswer {
        for _ in 0..<60 {
            // Another instance may be at it, so there is nothing here to await.
            try await Task.sleep(for: .milliseconds(50))
            if let answer = try await store.successor(of: refreshToken) { return answer }
        }
        throw OAuthError(.providerAway, "refresh: another exchange of the same token has not ended", mayHaveRun: false)
    }

    private func exchangeRefresh(_ refreshToken: String, _ tracked: TrackedToken) async throws
        -> Result<TokenAnswer, OAuthRefusal>
    {
        guard var grant = try await store.grant(of: tracked.session, user: tracked.user) else {
            return .failure(.grant)
        }
        let metadata = try await directory.current()
        let answer = try await post(
            .token,
            [("grant_type", "refresh_token"), ("refresh_token", refreshToken)],
            metadata,
            repeats: false
        )
        guard let answer, answer.isSuccess else { return .failure(.grant) }
        guard let fresh = answer.json.flatMap({ TokenAnswer($0, requestedScope: grant.tokens.scope) }) else {
            return .failure(.untrustworthy("token answer"))
        }
        var sources: [JSONValue] = []
        if metadata.endpoints[.jwks] != nil, let idToken = fresh.idToken {
            let kind = ProviderTokenKind.refreshedIdentity(accessToken: fresh.accessToken)
            guard let claims = try await verifier.verify(idToken, as: kind, now: Self.now),
                claims["sub"]?.string == tracked.subject
            else { return .failure(.untrustworthy("ID token")) }
            sources.append(claims)
        }
        if !sources.isEmpty {
            let authorities = Authorities(sources, clientID: configuration.clientID)
            if let group = configuration.requiredGroup, !authorities.isIn(group), !grant.authorities.isIn(group) {
                return .failure(.group(group))
            }
            if !authorities.roles.isEmpty || !authorities.groups.isEmpty { grant.authorities = authorities }
        }
        grant.tokens = fresh.keeping(refreshToken: refreshToken, idToken: grant.tokens.idToken)
        grant.accessExpiresAtMs = ServerTime.now.millisecondsSinceEpoch + Int64(fresh.expiresIn) * 1_000
        try await store.keep(grant, user: tracked.user, session: tracked.session)
        try await store.keepSuccessor(grant.tokens, of: refreshToken)
        return .success(grant.tokens)
    }
}

/// Whose tokens these are.
package struct TrackedOwner: Sendable {
    package let user: UserID
    package let session: String
}
