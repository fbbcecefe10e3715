import FoundationEssentials

/// Base64 with `-` and `_` and without padding (RFC 4648, section 5).
package func base64URL(_ bytes: some Sequence<UInt8>) -> String {
    var text = Data(bytes).base64EncodedData()
    while text.last == UInt8(ascii: "=") { text.removeLast() }
    return String(
        decoding: text.lazy.map { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            default: byte
            }
        },
        as: UTF8.self
    )
}
