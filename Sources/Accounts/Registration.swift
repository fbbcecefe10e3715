import HoldfastCore

/// The fields of a registration, checked.
///
/// - Bounds: password 8 to 128 characters of any script and at most 1,024 bytes; name 1 to 100 characters without
///   control characters; email at most 254 bytes.
struct Registration: Sendable {
    let userID: UserID
    let password: String
    let name: String
    let email: String

    static let passwordCharacters = 8...128
    /// 128 characters can be of many bytes each (an emoji family has 25); the work must not grow with them.
    static let maxPasswordBytes = 1_024

    init(userID: String, password: String, name: String, email: String) throws(Problem) {
        var errors: [Problem.FieldError] = []
        let checkedID = UserID(userID)
        if checkedID == nil {
            errors.append(.init("user_id", "must be 1 to 64 ASCII letters, digits or . _ @ + -"))
        }
        if !Self.isPasswordAcceptable(password) {
            errors.append(.init("password", "must have 8 to 128 characters"))
        } else if CommonPasswords.contains(password, of: userID) {
            errors.append(.init("password", "is one of those that are tried first; choose another"))
        }
        if !Self.isNameAcceptable(name) {
            errors.append(.init("user_name", "must have 1 to 100 characters and no control characters"))
        }
        if !Self.isEmailAcceptable(email) { errors.append(.init("email", "must be an email address")) }
        guard errors.isEmpty, let checkedID else {
            throw Problem(
                .invalid,
                errors.map { "\($0.field) \($0.detail)" }.joined(separator: "; ") + ".",
                errors: errors
            )
        }
        self.userID = checkedID
        self.password = password
        self.name = name
        self.email = email
    }

    static func isPasswordAcceptable(_ text: String) -> Bool {
        text.utf8.count <= maxPasswordBytes && passwordCharacters.contains(text.count)
    }

    private static func isNameAcceptable(_ text: String) -> Bool {
        guard (1...800).contains(text.utf8.count), text.count <= 100, !hasControlCharacters(text) else { return false }
        return text.contains { !$0.isWhitespace }
    }

    /// Only what is certainly not an address is refused: whether mail arrives can only be found out by sending some.
    static func isEmailAcceptable(_ text: String) -> Bool {
        guard (3...254).contains(text.utf8.count), !hasControlCharacters(text), !text.contains(where: \.isWhitespace)
        else { return false }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && !parts[1].hasPrefix(".")
            && !parts[1].hasSuffix(".")
    }

    private static func hasControlCharacters(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }
}
