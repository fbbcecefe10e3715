import Crypto
import Foundation
import NIOCore
import SocketIO

/// Checks HS256 tokens on the loop: a few microseconds, less than a hop to another thread.
///
/// - Source: RFC 7515, section 3.1, and RFC 7519, section 4.1.4.
struct TokenCheck: Sendable {
    private static let maxBytes = 8192

    private struct Credentials: Decodable { var token: String? }
    private struct Header: Decodable { var alg: String }
    private struct Claims: Decodable { var exp: Double? }

    private let key: SymmetricKey
    /// The header that nearly all tokens have.
    private static let usualHeader = Array("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9".utf8)

    init(secret: String) { self.key = SymmetricKey(data: Array(secret.utf8)) }

    /// Whether a CONNECT payload holds a token that is signed with our secret and has not expired.
    func accepts(_ auth: RawJSON) -> Bool {
        guard let token = Self.token(of: auth), token.count <= Self.maxBytes,
            let first = token.firstIndex(of: Self.dot), let last = token.lastIndex(of: Self.dot), first < last
        else { return false }
        let (header, claims, signed) = (token[..<first], token[(first + 1)..<last], token[..<last])
        guard let signature = Self.decoded(token[(last + 1)...]),
            HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: self.key),
            header.elementsEqual(Self.usualHeader) || Self.decode(Header.self, header)?.alg == "HS256",
            let claims = Self.decode(Claims.self, claims)
        else { return false }
        return claims.exp.map { $0 > Date().timeIntervalSince1970 } ?? true
    }

    /// The payload is nearly always `{"token":"…"}` and no more.
    private static func token(of auth: RawJSON) -> [UInt8]? {
        let bytes = Array(auth.bytes.readableBytesView)
        if bytes.starts(with: Self.head), bytes.suffix(2).elementsEqual(Self.tail) {
            let token = bytes[Self.head.count..<(bytes.count - 2)]
            if token.allSatisfy({ $0 == Self.dot || Self.values[Int($0)] < 64 }) { return Array(token) }
        }
        return (try? auth.decode(Credentials.self))?.token.map { Array($0.utf8) }
    }

    private static let dot = UInt8(ascii: ".")
    private static let head = Array(#"{"token":""#.utf8)
    private static let tail = Array(#""}"#.utf8)
    private static let decoder = JSONDecoder()

    private static func decode<T: Decodable>(_ type: T.Type, _ part: ArraySlice<UInt8>) -> T? {
        Self.decoded(part).flatMap { try? Self.decoder.decode(type, from: Data($0)) }
    }

    /// The values of base64's characters as URLs have it; 64 for all others.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 64, count: 256)
        let characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for (value, character) in characters.utf8.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    /// Base64 as URLs have it, without padding.
    private static func decoded(_ part: ArraySlice<UInt8>) -> [UInt8]? {
        guard part.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(part.count * 3 / 4)
        let values = Self.values
        var (group, bits): (UInt32, UInt32) = (0, 0)
        for character in part {
            let value = values[Int(character)]
            guard value < 64 else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> bits))
            }
        }
        return bytes
    }
}
