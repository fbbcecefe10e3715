package import HoldfastCore

/// A signed-in user, as far as a session has to know them.
///
/// Slices do not import each other, so the Gateway makes it from the account.
package struct SessionUser: Sendable, Equatable {
    package let userID: UserID
    package let name: String
    package let email: String
    package let role: Role
    package let active: Bool
    package let grants: Grants

    package init(
        userID: UserID,
        name: String,
        email: String,
        role: Role,
        active: Bool,
        groups: [String] = [],
        permissions: [String] = []
    ) {
        self.userID = userID
        self.name = name
        self.email = email
        self.role = role
        self.active = active
        grants = Grants(role: role, groups: groups, permissions: permissions)
    }

    /// - Parameter grants: with the role in them.
    package init(userID: UserID, name: String, email: String, active: Bool, grants: Grants) {
        self.userID = userID
        self.name = name
        self.email = email
        role = grants.role
        self.active = active
        self.grants = grants
    }
}

/// Where a sign-in came from.
///
/// - Bounds: cut to 64 and 256 bytes, at a character.
package struct ClientInfo: Sendable, Equatable {
    package let ipAddress: String
    package let userAgent: String

    package init(ipAddress: String, userAgent: String) {
        self.ipAddress = Self.cut(ipAddress, to: 64)
        self.userAgent = Self.cut(userAgent, to: 256)
    }

    private static func cut(_ text: String, to maxBytes: Int) -> String {
        guard text.utf8.count > maxBytes else { return text }
        var byteCount = 0
        return String(
            text.prefix { character in
                byteCount += character.utf8.count
                return byteCount <= maxBytes
            }
        )
    }
}

/// One sign-in on one device, as long as it lives in Redis.
package struct Session: Sendable, Equatable {
    package let handle: SessionHandle
    package let userID: UserID
    /// The role at sign-in. What someone may do now is the account's to say.
    package let role: Role
    package let createdAt: ServerTime
    /// Behind by at most 5 seconds, as is ``accessCount``.
    package let lastActivity: ServerTime
    package let expiresAt: ServerTime
    /// Redis' clock when it answered.
    package let asOf: ServerTime
    package let accessCount: Int
    package let client: ClientInfo
    /// Redis holds it under a secret that is no longer the first of the ring.
    var isSealedByOldSecret = false

    package var ipAddress: String { client.ipAddress }
    package var timeLeft: Duration { expiresAt - asOf }
    package var userAgent: String { client.userAgent }
    /// Seconds left when Redis answered, rounded up: a session that lives has at least one.
    package var ttlSeconds: Int { Int((max(0, (expiresAt - asOf).milliseconds) + 999) / 1_000) }
}

/// Everything a request knows about who sent it.
package struct SignedIn: Sendable {
    package let user: SessionUser
    package let session: Session
    package let tokenExpiresAt: ServerTime
    let sessionID: SessionID

    package var userID: UserID { user.userID }
    package var name: String { user.name }
    package var email: String { user.email }
    package var role: Role { user.role }
}

/// What a person is handed when they sign in.
///
/// - Important: `accessToken` and `refreshToken` are secrets; the value describes itself without them.
package struct SignIn: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let accessToken: String
    /// Seconds.
    package let expiresIn: Int
    package let refreshToken: String
    package let sessionHandle: SessionHandle
    package let csrfToken: String

    package var description: String { "SignIn" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A new access token of a session that goes on.
///
/// - Important: `accessToken` is a secret; the value describes itself without it.
package struct SessionRenewal: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let accessToken: String
    /// Seconds.
    package let expiresIn: Int
    package let csrfToken: String

    package var description: String { "SessionRenewal" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// What came of ending sessions.
package struct SessionsEnded: Sendable, Equatable {
    /// How many lived, or could have come back by a refresh.
    package let sessions: Int
    /// How many access tokens would still have been good.
    package let tokens: Int

    package init(sessions: Int, tokens: Int) {
        self.sessions = sessions
        self.tokens = tokens
    }
}

/// What became of an access token.
package enum SessionCheck: Sendable {
    case valid(SignedIn)
    /// Not ours, not for us, changed, or past its end.
    case invalidToken
    /// A good token whose session has ended.
    case sessionExpired
    /// The account is disabled or gone.
    case disabled
}

package enum CreateOutcome: Sendable {
    case created(SignIn)
    /// With ``DuplicateLogin/reject`` only.
    case alreadySignedIn
}

package enum RefreshOutcome: Sendable {
    case refreshed(SignIn, SessionUser)
    case invalidToken
    /// Used again later than a second tab would: the whole family has ended.
    case reused
    /// The session was ended, by its owner or another.
    case sessionEnded
    case disabled
}

/// A session that was ended, as told to every instance.
package struct SessionEnded: Sendable, Equatable {
    package let user: UserID
    package let handle: SessionHandle
    package let reason: SessionEndReason

    package init(user: UserID, handle: SessionHandle, reason: SessionEndReason) {
        self.user = user
        self.handle = handle
        self.reason = reason
    }
}
