import FoundationEssentials
import HoldfastCore

/// The bytes of a text that ``base64URL(_:)`` could have written; nil for every other one.
///
/// One value has one spelling, so that the hash of a text identifies what it says.
func decodeBase64URL(_ text: String) -> [UInt8]? {
    guard text.utf8.count <= 4_096 else { return nil }
    var standard = ""
    for character in text.unicodeScalars {
        switch character {
        case "-": standard.append("+")
        case "_": standard.append("/")
        case "+", "/", "=": return nil
        default: standard.unicodeScalars.append(character)
        }
    }
    standard.append(String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    guard let data = Data(base64Encoded: standard) else { return nil }
    let bytes = [UInt8](data)
    return base64URL(bytes) == text ? bytes : nil
}
