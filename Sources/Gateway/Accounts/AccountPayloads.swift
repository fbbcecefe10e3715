// The wire spells these names in snake case, and a reader should find them here as they are.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import Accounts
import HoldfastCore
import NIOCore
import Sessions

// What accounts and sign-ins look like on the wire.

struct RegisterRequest: Decodable {
    let user_id: String
    let password: String
    let user_name: String
    let email: String
}

struct LoginRequest: Decodable {
    let user_id: String
    let password: String
}

struct RefreshRequest: Decodable {
    let refresh_token: String
}

struct UserPayload: Encodable {
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let groups: [String]
    let permissions: [String]

    init(_ user: SessionUser) {
        user_id = user.userID
        user_name = user.name
        email = user.email
        role = user.role
        groups = user.grants.groups.sorted()
        permissions = user.grants.permissions.sorted()
    }

    var json: ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(256)
        json.writeString(#"{"user_id":"\#(user_id)","user_name":"#)
        json.writeJSON(user_name)
        json.writeString(#","email":"#)
        json.writeJSON(email)
        json.writeString(#","role":"\#(role.rawValue)","groups":"#)
        json.writeJSON(groups)
        json.writeString(#","permissions":"#)
        json.writeJSON(permissions)
        json.writeString("}")
        return json
    }
}

struct SignInPayload: Encodable {
    let user_id: UserID
    let user_name: String
    let email: String
    let role: Role
    let access_token: String
    let token_type = "bearer"
    let expires_in: Int
    let refresh_token: String
    let session_id: SessionHandle

    init(_ signIn: SignIn, _ user: SessionUser) {
        user_id = user.userID
        user_name = user.name
        email = user.email
        role = user.role
        access_token = signIn.accessToken
        expires_in = signIn.expiresIn
        refresh_token = signIn.refreshToken
        session_id = signIn.sessionHandle
    }
}

struct MessagePayload: Encodable {
    let message: String
}

extension SessionUser {
    init(_ user: User) {
        self.init(userID: user.userID, name: user.name, email: user.email, active: user.active, grants: user.grants)
    }
}
