import Crypto
import Foundation
package import HoldfastCore

/// How a lobby becomes a line: an order that nobody can know before the roster is closed, and anybody can check after.
///
/// The secret is chosen first, and its hash published. The order depends on the secret and on the root of the closed
/// roster: who knows the secret cannot tell what a name will draw, because every name changes the root, and so all
/// places. `docs/draw.md` is the recipe for checking it in any language.
package enum LobbyDraw {
    /// What a person is in the roster: their ticket, which only they are shown, keeps others from guessing the name.
    package static func leaf(ticket: String, user: String) -> MerkleTree.Hash {
        MerkleTree.leaf("\(ticket):\(user)".utf8)
    }

    /// The leaves' numbers in the order in which they go in: the first is in front.
    package static func order(
        of leaves: [MerkleTree.Hash],
        root: MerkleTree.Hash,
        secret: [UInt8],
        event: EventID
    ) -> [Int] {
        let message = "holdfast draw 1\n\(event)\n\(hex(root))"
        let key = SymmetricKey(
            data: HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: SymmetricKey(data: secret))
        )
        let lots = leaves.map { Array(HMAC<SHA256>.authenticationCode(for: $0, using: key)) }
        return leaves.indices.sorted { left, right in
            // Two equal lots are a collision of SHA-256; the rule is there so that there is one.
            lots[left] == lots[right] ? left < right : lots[left].lexicographicallyPrecedes(lots[right])
        }
    }

    package static func commitment(to secret: [UInt8]) -> String { hex(Array(SHA256.hash(data: secret))) }

    private static let digits = Array("0123456789abcdef".utf8)

    package static func hex(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// - Returns: nil for what is not pairs of hexadecimal digits.
    package static func bytes(hex text: String) -> [UInt8]? {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high * 16 + low))
        }
        return bytes
    }
}
