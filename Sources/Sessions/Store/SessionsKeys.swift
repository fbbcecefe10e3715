import HoldfastCore

/// Every Redis key and channel of this slice.
///
/// A user's keys share the tag `{user:U}`, so that one script can change a session and the user's index together, on a
/// Redis Cluster too. The count of all sessions lies in another slot and is therefore brought up to date by a second
/// command: it is for statistics, and its entries end by themselves.
enum SessionsKeys {
    /// `SessionEnded` messages as JSON, published by the scripts that end sessions.
    static let endedChannel = "hf:sessions:ended"

    /// Hash: `value` (sealed), `created`, `seen`, `expires` (ms), `count`; expires with the session.
    static func session(_ handle: SessionHandle, of user: UserID) -> String {
        sessionPrefix(of: user) + handle.rawValue
    }

    static func sessionPrefix(of user: UserID) -> String { "hf:{user:\(user)}:session:" }

    /// Sorted set: handle, scored by when the session ends (ms).
    static func index(of user: UserID) -> String { "hf:{user:\(user)}:sessions" }

    /// Sorted set of the sessions of one role, all users: `HANDLE USER`, scored by when the session ends (ms).
    static func everyone(_ role: Role) -> String { "hf:{sessions}:\(role.rawValue)" }

    /// Wrong passwords for an account from places where its owner never signed in.
    static func wrongPasswords(for user: UserID) -> String { "hf:{user:\(user)}:wrong" }

    /// Hash of the owner's usual addresses (hashed): wrong passwords from there, counted for themselves.
    static func knownAddresses(of user: UserID) -> String { "hf:{user:\(user)}:known" }

    /// Sign-in work asked for by one address (hashed).
    static func work(of addressHash: String) -> String { "hf:{address:\(addressHash)}:work" }
}
