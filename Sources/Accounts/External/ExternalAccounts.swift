import Crypto
import Foundation
package import HoldfastCore
package import Postgres

/// Accounts of people who sign in at a provider.
///
/// - An account belongs to one subject of one issuer, by which alone it is found. It is made at the first sign-in, with the
///   role `user` and no password.
/// - Nothing is linked by name or e-mail address: a provider may let anybody claim either. An operator who knows that two
///   are one person adds a row to `external_identities`.
/// - An e-mail address is taken over only if the provider verified it; other accounts get one that cannot exist.
/// - Name, address and groups follow the provider; role, permissions and whether the account is active are decided here,
///   so that no provider makes an administrator.
package struct ExternalAccounts: Sendable {
    private let postgres: PostgresClient

    package init(postgres: PostgresClient) { self.postgres = postgres }

    /// The account of a subject; nil if it never signed in.
    package func find(issuer: String, subject: String) async throws -> UserID? {
        let rows = try await postgres.query(
            "SELECT user_id FROM external_identities WHERE issuer = \(issuer) AND subject = \(subject)"
        )
        return try rows.first.flatMap { UserID(try $0.decode(String.self)) }
    }

    /// The account of a subject who has just signed in, made if need be. Of many at one moment, all get the same.
    ///
    /// - Parameter isNew: whether this call made it.
    package func signedIn(issuer: String, subject: String, name: String?, verifiedEmail: String?) async throws -> (
        user: UserID, isNew: Bool
    ) {
        if let known = try await find(issuer: issuer, subject: subject) {
            try await update(known, name: name, verifiedEmail: verifiedEmail, issuer: issuer, subject: subject)
            return (known, false)
        }
        for attempt in 0..<4 {
            let candidate = try Self.userID(issuer: issuer, subject: subject, attempt: attempt)
            let email = Self.email(verifiedEmail) ?? "\(candidate)@unverified.invalid"
            let name = Self.name(name) ?? candidate.rawValue
            // Both rows or none. Of two that come at one moment, the second waits for the first and then finds nothing to
            // insert; so it does when somebody has registered this name.
            let rows = try await postgres.query(
                """
                WITH account AS (
                    INSERT INTO users (user_id, user_name, email, role, password_hash)
                    VALUES (\(candidate.rawValue), \(name), \(email), 'user', \(Accounts.noPassword))
                    ON CONFLICT (user_id) DO NOTHING RETURNING user_id
                )
                INSERT INTO external_identities (issuer, subject, user_id)
                SELECT \(issuer)::text, \(subject)::text, user_id FROM account RETURNING user_id
                """
            )
            if !rows.isEmpty { return (candidate, true) }
            if let known = try await find(issuer: issuer, subject: subject) { return (known, false) }
        }
        throw PostgresError(.decoding, "external_identities: no free user id")
    }

    /// Makes the account a member of these groups and no others.
    ///
    /// - Returns: whether that is a change, of which other instances should hear.
    package func setGroups(_ groups: [String], of user: UserID) async throws -> Bool {
        let names = Grants(role: .user, groups: groups).groups.sorted()
        return try await postgres.query(
            """
            UPDATE users SET groups = \(names)::text[], updated_at = now()
            WHERE user_id = \(user.rawValue) AND groups IS DISTINCT FROM \(names)::text[]
              AND password_hash = \(Accounts.noPassword)
            """
        ).affectedRows > 0
    }

    private func update(
        _ user: UserID,
        name: String?,
        verifiedEmail: String?,
        issuer: String,
        subject: String
    ) async throws {
        _ = try await postgres.query(
            """
            WITH login AS (
                UPDATE external_identities SET last_login_at = now() WHERE issuer = \(issuer) AND subject = \(subject)
            )
            UPDATE users SET user_name = coalesce(\(Self.name(name) as String?)::text, user_name),
                             email = coalesce(\(Self.email(verifiedEmail) as String?)::text, email), updated_at = now()
            WHERE user_id = \(user.rawValue) AND password_hash = \(Accounts.noPassword)
              AND (user_name, email) IS DISTINCT FROM
                  (coalesce(\(Self.name(name) as String?)::text, user_name),
                   coalesce(\(Self.email(verifiedEmail) as String?)::text, email))
            """
        )
    }

    // MARK: What a provider's words become

    /// `ext-` and 24 letters and digits that follow from issuer and subject: short, harmless in keys and logs, and nobody
    /// else's name. If somebody has registered just that, another is taken; they gain nothing by it.
    static func userID(issuer: String, subject: String, attempt: Int) throws -> UserID {
        let facts = Data("\(issuer.utf8.count):\(issuer)\(subject)#\(attempt)".utf8)
        let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567")
        let letters = SHA256.hash(data: facts).prefix(24).map { alphabet[Int($0) % alphabet.count] }
        guard let id = UserID("ext-" + String(letters)) else {
            throw PostgresError(.decoding, "external_identities: no user id")
        }
        return id
    }

    /// Cut to 100 characters; nil if nothing is left to show.
    static func name(_ text: String?) -> String? {
        guard let text else { return nil }
        let clean = String(
            String.UnicodeScalarView(text.unicodeScalars.filter { $0.properties.generalCategory != .control })
        )
        let cut = String(clean.trimmingCharacters(in: .whitespaces).prefix(100))
        return (1...800).contains(cut.utf8.count) ? cut : nil
    }

    static func email(_ text: String?) -> String? {
        guard let text, Registration.isEmailAcceptable(text) else { return nil }
        return text
    }
}
