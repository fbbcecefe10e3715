import FoundationEssentials
import HoldfastCore

/// The bytes of a text that ``base64URL(_:)`` could have written; nil for every other one.
///
/// One value has one spelling, so that the hash of a text identifies what it says.
func decodeBase64URL(_ text: some StringProtocol) -> [UInt8]? {
    guard text.utf8.count <= 4_096 else { return nil }
    var standard: [UInt8] = []
    standard.reserveCapacity(text.utf8.count + 3)
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "-"): standard.append(UInt8(ascii: "+"))
        case UInt8(ascii: "_"): standard.append(UInt8(ascii: "/"))
        case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
        default: standard.append(byte)
        }
    }
    while !standard.count.isMultiple(of: 4) { standard.append(UInt8(ascii: "=")) }
    guard let data = Data(base64Encoded: Data(standard)) else { return nil }
    let bytes = [UInt8](data)
    return base64URL(bytes) == text ? bytes : nil
}
