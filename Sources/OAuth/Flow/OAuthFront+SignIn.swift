package import HoldfastCore

/// How a page begins a sign-in.
package struct AuthorizationRequest: Sendable {
    /// Where the provider sends the browser back to.
    package var redirectURI: String
    /// The page's own; ours if it has none.
    package var state: String?
    package var scope: String?
    /// The page's own PKCE challenge.
    package var challenge: String?
    package var challengeMethod: String?
    package var prompt: String?
    package var loginHint: String?
    /// The value of the browser's cookie, if it sent one that we could have made.
    package var browser: String?

    package init(redirectURI: String) { self.redirectURI = redirectURI }
}

/// Where the browser goes, and the cookie that it takes along.
package struct AuthorizationRedirect: Sendable {
    package let url: String
    package let state: String
    package let browser: String
}

/// With what a browser comes back.
package struct AuthorizationResponse: Sendable {
    package var code: String
    package var state: String
    package var verifier: String?
    package var redirectURI: String?
    /// `iss` of RFC 9207, if the provider sent it.
    package var issuer: String?
    package var browser: String?

    package init(code: String, state: String) {
        self.code = code
        self.state = state
    }
}

/// Somebody whom the provider vouches for.
package struct ProviderSignIn: Sendable {
    package let issuer: String
    package let subject: String
    package let name: String?
    /// Only if the provider says that it was verified.
    package let verifiedEmail: String?
    package let authorities: Authorities
    package let tokens: TokenAnswer
    let providerSession: String?
}

extension OAuthFront {
    // MARK: There

    /// Begins a sign-in: remembers what the answer must fit, and says where to send the browser.
    package func authorize(_ request: AuthorizationRequest) async throws -> Result<AuthorizationRedirect, OAuthRefusal>
    {
        if let challenge = request.challenge {
            guard request.challengeMethod == "S256" else { return .failure(.challengeMethod) }
            guard PKCE.isChallenge(challenge) else { return .failure(.malformed("code_challenge")) }
        } else if request.challengeMethod != nil {
            return .failure(.malformed("code_challenge"))
        }
        if let state = request.state, !Self.isPlainText(state, upTo: 512) { return .failure(.malformed("state")) }
        if let scope = request.scope, !Self.isPlainText(scope, upTo: 512) { return .failure(.malformed("scope")) }
        if let hint = request.loginHint, hint.utf8.count > 256 { return .failure(.malformed("login_hint")) }
        if let prompt = request.prompt, !Self.isPlainText(prompt, upTo: 64) { return .failure(.malformed("prompt")) }
        let metadata = try await directory.current()
        guard let endpoint = metadata.endpoints[.authorize] else {
            throw OAuthError(.providerAnswer, "discovery: no authorization endpoint")
        }
        let browser = request.browser.flatMap { PKCE.isChallenge($0) ? $0 : nil } ?? OAuthRandom.text()
        let state = request.state ?? OAuthRandom.text()
        let verifier = request.challenge == nil ? OAuthRandom.text() : nil
        let challenge = request.challenge ?? verifier.flatMap { PKCE.challenge(of: $0) } ?? ""
        let scope = request.scope ?? configuration.scopes
        let nonce = OAuthRandom.text()
        try await pending.keep(
            PendingSignIn(redirectURI: request.redirectURI, verifier: verifier, nonce: nonce, scope: scope),
            state: state,
            binding: request.challenge.map { .challenge($0) } ?? .cookie(browser)
        )
        var query = [
            ("response_type", "code"), ("client_id", configuration.clientID), ("redirect_uri", request.redirectURI),
            ("scope", scope), ("state", state), ("code_challenge", challenge), ("code_challenge_method", "S256"),
        ]
        if scope.split(separator: " ").contains("openid") { query.append(("nonce", nonce)) }
        if let prompt = request.prompt { query.append(("prompt", prompt)) }
        if let hint = request.loginHint { query.append(("login_hint", hint)) }
        let separator = endpoint.contains("?") ? "&" : "?"
        return .success(
            AuthorizationRedirect(
                url: endpoint + separator + FormText.encode(query),
                state: state,
                browser: browser
            )
        )
    }

    private static func isPlainText(_ text: String, upTo maxBytes: Int) -> Bool {
        (1...maxBytes).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }

    // MARK: And back

    /// Exchanges the code with which the browser came back, and finds out who it is.
    ///
    /// The state is used up first, whatever comes of it, so of two answers with one state at most one gets anywhere.
    package func exchange(_ response: AuthorizationResponse) async throws -> Result<ProviderSignIn, OAuthRefusal> {
        guard (1...4_096).contains(response.code.utf8.count) else { return .failure(.malformed("code")) }
        let binding: BrowserBinding
        if let verifier = response.verifier {
            guard let challenge = PKCE.challenge(of: verifier) else { return .failure(.malformed("code_verifier")) }
            binding = .challenge(challenge)
        } else if let browser = response.browser {
            binding = .cookie(browser)
        } else {
            return .failure(.unknownState)
        }
        guard let begun = try await pending.take(state: response.state, binding: binding) else {
            return .failure(.unknownState)
        }
        if let redirectURI = response.redirectURI, redirectURI != begun.redirectURI { return .failure(.grant) }
        let metadata = try await directory.current()
        if let issuer = response.issuer, issuer != metadata.issuer { return .failure(.wrongIssuer) }
        let answer = try await post(
            .token,
            [
                ("grant_type", "authorization_code"), ("code", response.code), ("redirect_uri", begun.redirectURI),
                ("code_verifier", begun.verifier ?? response.verifier ?? ""),
            ],
            metadata,
            repeats: false
        )
        guard let answer, answer.isSuccess else { return .failure(.grant) }
        guard let tokens = answer.json.flatMap({ TokenAnswer($0, requestedScope: begun.scope) }) else {
            return .failure(.untrustworthy("token answer"))
        }
        let signIn = try await identify(tokens, begun, metadata)
        // Nobody is given these tokens, so nobody should be able to use them.
        if case .failure = signIn { await revokeQuietly(tokens) }
        return signIn
    }

    private func identify(_ tokens: TokenAnswer, _ begun: PendingSignIn, _ metadata: ProviderMetadata) async throws
        -> Result<ProviderSignIn, OAuthRefusal>
    {
        var sources: [JSONValue] = []
        let asksForIdentity = begun.scope.split(separator: " ").contains("openid")
        if metadata.endpoints[.jwks] != nil, asksForIdentity || tokens.idToken != nil {
            guard let idToken = tokens.idToken,
                let claims = try await verifier.verify(
                    idToken,
                    as: .identity(nonce: begun.nonce, accessToken: tokens.accessToken),
                    now: Self.now
                )
            else { return .failure(.untrustworthy("ID token")) }
            sources.append(claims)
            if ProviderTokenVerifier.isSigned(tokens.accessToken),
                let access = try await verifier.verify(tokens.accessToken, as: .access, now: Self.now)
            {
                guard access["sub"] == claims["sub"] else { return .failure(.untrustworthy("access token")) }
                sources.append(access)
            }
        }
        let authorities = Authorities(sources, clientID: configuration.clientID)
        let knowsEnough =
            sources.first?["email_verified"] != nil && configuration.requiredGroup.map(authorities.isIn) != false
        if !knowsEnough, metadata.endpoints[.userinfo] != nil {
            guard let profile = try await profile(tokens.accessToken, metadata),
                let subject = profile["sub"] ?? profile["user_id"] ?? profile["id"],
                sources.first.map({ $0["sub"] == profile["sub"] }) ?? true
            else { return .failure(.untrustworthy("userinfo")) }
            // An older provider may call it otherwise; its numbers are texts to us.
            var members = profile.object ?? [:]
            if case .integer(let number) = subject {
                members["sub"] = .string(String(number))
            } else {
                members["sub"] = subject
            }
            sources.append(.object(members))
        }
        guard let subject = sources.first?["sub"]?.string, (1...255).contains(subject.utf8.count) else {
            return .failure(.untrustworthy("no subject"))
        }
        return person(subject, sources, tokens, metadata)
    }

    private func person(
        _ subject: String,
        _ sources: [JSONValue],
        _ tokens: TokenAnswer,
        _ metadata: ProviderMetadata
    ) -> Result<ProviderSignIn, OAuthRefusal> {
        var authorities = Authorities(sources, clientID: configuration.clientID)
        if authorities.permissions.isEmpty {
            authorities = Authorities(
                sources + [.object(["scope": .string(tokens.scope)])],
                clientID: configuration.clientID
            )
        }
        if let group = configuration.requiredGroup, !authorities.isIn(group) { return .failure(.group(group)) }
        func first(_ names: String...) -> String? {
            names.lazy.compactMap { name in sources.lazy.compactMap { $0[name]?.string }.first }.first
        }
        // Address and verdict must come from one source: one may not lend the other its weight.
        let verifiedEmail = sources.first { $0["email"]?.string != nil && $0["email_verified"]?.bool == true }?["email"]
        return .success(
            ProviderSignIn(
                issuer: metadata.issuer,
                subject: subject,
                name: first("name", "preferred_username", "user_name", "username", "nickname"),
                verifiedEmail: verifiedEmail?.string,
                authorities: authorities,
                tokens: tokens,
                providerSession: first("sid")
            )
        )
    }

    /// Ties the tokens to the session that was made for them. Until this has been done they open nothing here.
    package func track(_ signIn: ProviderSignIn, user: UserID, session: String) async throws {
        let grant = ProviderGrant(
            tokens: signIn.tokens,
            accessExpiresAtMs: ServerTime.now.millisecondsSinceEpoch + Int64(signIn.tokens.expiresIn) * 1_000,
            issuer: signIn.issuer,
            subject: signIn.subject,
            providerSession: signIn.providerSession,
            authorities: signIn.authorities
        )
        try await store.keep(grant, user: user, session: session)
    }
}
