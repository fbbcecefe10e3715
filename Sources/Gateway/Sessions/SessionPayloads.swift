// The wire spells these names in snake case, and a reader should find them here as they are.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import HoldfastCore
import Sessions

// What sign-in sessions look like on the wire.

struct LogoutRequest: Decodable {
    let refresh_token: String?
    let logout_all_devices: Bool?
}

struct LogoutAllPayload: Encodable {
    let status = "success"
    let sessions_invalidated: Int
    let tokens_blacklisted: Int
    let timestamp: ServerTime
}

struct DeviceListPayload: Encodable {
    let user_id: UserID
    let active_sessions: Int
    let sessions: [DevicePayload]
}

struct ActiveSessionsPayload: Encodable {
    let active_sessions: Int
    let users: [UserID]
}

struct SessionListPayload: Encodable {
    let sessions: [SessionPayload]
    let total: Int
    @Nullable var next_cursor: String?
}

struct SessionStatisticsPayload: Encodable {
    let total_sessions: Int
    let sessions_by_role: [String: Int]
    /// Seconds.
    let average_ttl: Double
}

struct DeletedPayload: Encodable {
    let message: String
    let deleted_count: Int
}

struct CleanedPayload: Encodable {
    let cleaned_count: Int
}

/// A session as administrators see it.
struct SessionPayload: Encodable {
    let session_id: SessionHandle
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let created_at: ServerTime
    let last_activity: ServerTime
    let access_count: Int
    let ttl: Int
    let ip_address: String
    let user_agent: String

    /// - Parameter user: nil for an account that is gone; its sessions let nobody in.
    init(_ session: Session, _ user: SessionUser?) {
        session_id = session.handle
        user_id = session.userID
        user_name = user?.name ?? session.userID.rawValue
        email = user?.email ?? ""
        role = user?.role ?? session.role
        created_at = session.createdAt
        last_activity = session.lastActivity
        access_count = session.accessCount
        ttl = session.ttlSeconds
        ip_address = session.ipAddress
        user_agent = session.userAgent
    }
}

struct OwnSessionPayload: Encodable {
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let created_at: ServerTime
    let last_activity: ServerTime
    let ttl: Int
    let ip_address: String
    let user_agent: String

    init(_ signedIn: SignedIn) {
        user_id = signedIn.userID
        user_name = signedIn.name
        email = signedIn.email
        role = signedIn.role
        created_at = signedIn.session.createdAt
        last_activity = signedIn.session.lastActivity
        ttl = signedIn.session.ttlSeconds
        ip_address = signedIn.session.ipAddress
        user_agent = signedIn.session.userAgent
    }
}

struct DevicePayload: Encodable {
    let session_id: SessionHandle
    let ip_address: String
    let user_agent: String
    let created_at: ServerTime
    let last_accessed: ServerTime
    let access_count: Int
    let current: Bool

    init(_ session: Session, isCurrent: Bool) {
        session_id = session.handle
        ip_address = session.ipAddress
        user_agent = session.userAgent
        created_at = session.createdAt
        last_accessed = session.lastActivity
        access_count = session.accessCount
        current = isCurrent
    }
}
