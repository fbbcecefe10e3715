import Crypto
import FoundationEssentials

/// Checks HS256 tokens where it is called, without waiting for anything.
///
/// - Source: RFC 7519; RFC 7515, appendix A.1. Of the claims only `exp` counts.
struct TokenVerifier {
    private struct Header: Decodable { var alg: String }
    private struct Claims: Decodable { var exp: Double? }

    private let key: SymmetricKey

    init(secret: String) { self.key = SymmetricKey(data: Data(secret.utf8)) }

    func accepts(_ token: String) -> Bool {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let signature = Self.decode(parts[2]), let header = Self.decode(parts[0]),
            let claims = Self.decode(parts[1])
        else { return false }
        let signed = Data(token.utf8[parts[0].startIndex..<parts[1].endIndex])
        guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: self.key),
            (try? JSONDecoder().decode(Header.self, from: header))?.alg == "HS256",
            let claims = try? JSONDecoder().decode(Claims.self, from: claims)
        else { return false }
        return claims.exp.map { $0 > Date().timeIntervalSince1970 } ?? true
    }

    /// Base64 of the URL-safe alphabet, without padding.
    private static func decode(_ text: Substring.UTF8View) -> Data? {
        var bytes = text.map { byte in
            byte == UInt8(ascii: "-") ? UInt8(ascii: "+") : byte == UInt8(ascii: "_") ? UInt8(ascii: "/") : byte
        }
        while bytes.count % 4 != 0 { bytes.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: Data(bytes))
    }
}
