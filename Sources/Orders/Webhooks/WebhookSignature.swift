import Crypto
import Foundation
package import HoldfastCore

/// Proof that a payment result comes from who knows the secret, and recently.
///
/// - Shape: `t=SECONDS,v1=HEX`, HEX = HMAC-SHA256(secret, `SECONDS.` + body).
package enum WebhookSignature {
    package enum Check: Sendable, Equatable {
        case valid, invalid
        /// Rightly signed, but longer ago than ``tolerance``, or as far ahead.
        case tooOld
    }

    package static let tolerance: Duration = .seconds(300)

    /// The header's value for a body; our own outgoing messages are signed alike.
    package static func sign(_ body: [UInt8], secret: String, at time: ServerTime) -> String {
        let seconds = time.millisecondsSinceEpoch / 1_000
        let code = HMAC<SHA256>.authenticationCode(
            for: signed(seconds, body),
            using: SymmetricKey(data: Array(secret.utf8))
        )
        let digits = Array("0123456789abcdef".utf8)
        let hex = code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return "t=\(seconds),v1=\(String(decoding: hex, as: UTF8.self))"
    }

    /// Compares in constant time. The age is looked at last, so that it tells a forger nothing.
    package static func check(_ header: String, body: [UInt8], secret: String, now: ServerTime) -> Check {
        guard header.utf8.count <= 512 else { return .invalid }
        var seconds: Int64?
        var code: [UInt8]?
        for part in header.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2 else { return .invalid }
            switch pair[0].drop(while: { $0 == " " }) {
            case "t": seconds = Int64(pair[1])
            case "v1": code = bytes(hex: pair[1])
            default: break  // A later version's.
            }
        }
        guard let seconds, let code, (0...253_402_300_799).contains(seconds) else { return .invalid }
        let isValid = HMAC<SHA256>.isValidAuthenticationCode(
            code,
            authenticating: signed(seconds, body),
            using: SymmetricKey(data: Array(secret.utf8))
        )
        guard isValid else { return .invalid }
        let age = now - ServerTime(millisecondsSinceEpoch: seconds * 1_000)
        return age <= tolerance && age >= .zero - tolerance ? .valid : .tooOld
    }

    private static func signed(_ seconds: Int64, _ body: [UInt8]) -> [UInt8] { Array("\(seconds).".utf8) + body }

    private static func bytes(hex: Substring) -> [UInt8]? {
        let digits = Array(hex.utf8)
        guard digits.count == 2 * SHA256.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
