package import NIOCore

extension ByteBuffer {
    /// Writes a text as a JSON string, with its quotes.
    package mutating func writeJSONString(_ text: String) {
        self.writeInteger(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            self.writeString(text)
        } else {
            for byte in text.utf8 {
                switch byte {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                    self.writeInteger(UInt8(ascii: "\\"))
                    self.writeInteger(byte)
                case 0..<0x20:
                    self.writeString("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
                default:
                    self.writeInteger(byte)
                }
            }
        }
        self.writeInteger(UInt8(ascii: "\""))
    }
}
