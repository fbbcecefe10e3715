import HoldfastCore

/// Every Redis key and channel of this slice.
///
/// A user's keys share the tag `{user:U}`, so that one script can change a session and the user's index together, on a
/// Redis Cluster too. The count of all sessions lies in another slot and is therefore brought up to date by a second
/// command: it is for statistics, and its entries end by themselves.
enum SessionsKeys {
    /// `SessionEnded` messages as JSON, published by the scripts that end sessions.
    static let endedChannel = "hf:sessions:ended"

    /// Whose account was changed: ``accountChanged``, and the id of the user.
    static let accountChannel = "hf:accounts:changed"
    static let accountChanged = "changed "

    /// Hash: `value` (sealed), `created`, `seen`, `expires` (ms), `count`; expires with the session.
    static func session(_ handle: SessionHandle, of user: UserID) -> String {
        sessionPrefix(of: user) + handle.rawValue
    }

    static func sessionPrefix(of user: UserID) -> String { prefix(of: user) + "session:" }

    /// What all keys of a user begin with; the scripts make the others from it.
    static func prefix(of user: UserID) -> String { "hf:{user:\(user)}:" }

    /// Sorted set: ids of a session's access tokens, scored by when each ends (ms).
    static func tokens(of handle: SessionHandle, of user: UserID) -> String {
        prefix(of: user) + "tokens:" + handle.rawValue
    }

    /// There while an access token that ended before its time would have been good.
    static func dead(_ token: String, of user: UserID) -> String { prefix(of: user) + "dead:" + token }

    /// There from the moment a session was displaced until its refresh token is revoked.
    static func displaced(_ handle: SessionHandle, of user: UserID) -> String {
        prefix(of: user) + "displaced:" + handle.rawValue
    }

    /// Sorted set: handle, scored by when the session ends (ms).
    static func index(of user: UserID) -> String { "hf:{user:\(user)}:sessions" }

    /// Sorted set of all users' sessions: `HANDLE USER`, scored by when the session ends (ms).
    static let everyone = "hf:{sessions}:all"

    /// The same of one role.
    static func everyone(_ role: Role) -> String { "hf:{sessions}:\(role.rawValue)" }

    /// Wrong passwords for an account from places where its owner never signed in.
    static func wrongPasswords(for user: UserID) -> String { "hf:{user:\(user)}:wrong" }

    /// Hash of the owner's usual addresses (hashed): wrong passwords from there, counted for themselves.
    static func knownAddresses(of user: UserID) -> String { "hf:{user:\(user)}:known" }

    /// Sign-in work asked for by one address (hashed).
    static func work(of addressHash: String) -> String { "hf:{address:\(addressHash)}:work" }
}
