import FoundationEssentials

/// One stored password: parameters, salt and key, as the text that PostgreSQL keeps.
///
/// - Shape: `$scrypt$ln=17,r=8,p=1$SALT$HASH`, both in base64 without padding.
/// - Bounds: the salt is 16 bytes, the key 32.
/// - Source: the PHC string format, https://github.com/P-H-C/phc-string-format
struct PasswordHash: Sendable, Equatable {
    static let saltByteCount = 16
    static let keyByteCount = 32

    let parameters: ScryptParameters
    let salt: [UInt8]
    let key: [UInt8]

    init(parameters: ScryptParameters, salt: [UInt8], key: [UInt8]) {
        self.parameters = parameters
        self.salt = salt
        self.key = key
    }

    /// Answers nil for whatever is not exactly this shape: such an account cannot sign in with a password.
    init?(phc text: String) {
        guard text.utf8.count <= 200 else { return nil }
        let fields = text.split(separator: "$", omittingEmptySubsequences: false)
        guard fields.count == 5, fields[0].isEmpty, fields[1] == "scrypt",
            let parameters = Self.parameters(fields[2]),
            let salt = Self.bytes(fields[3]), salt.count == Self.saltByteCount,
            let key = Self.bytes(fields[4]), key.count == Self.keyByteCount
        else { return nil }
        self.init(parameters: parameters, salt: salt, key: key)
    }

    var phc: String {
        "$scrypt$ln=\(parameters.logN),r=\(parameters.r),p=\(parameters.p)$\(Self.text(salt))$\(Self.text(key))"
    }

    private static func parameters(_ text: Substring) -> ScryptParameters? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].hasPrefix("ln="), parts[1].hasPrefix("r="), parts[2].hasPrefix("p="),
            let logN = Int(parts[0].dropFirst(3)), let r = Int(parts[1].dropFirst(2)),
            let p = Int(parts[2].dropFirst(2))
        else { return nil }
        return ScryptParameters(checking: logN, r: r, p: p)
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: text + padding) else { return nil }
        return [UInt8](data)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(Data(bytes).base64EncodedString().prefix { $0 != "=" })
    }
}
