/// PostgreSQL's text format of one-dimensional arrays: `{1,NULL,"a \"quoted\" text"}`.
///
/// - Source: PostgreSQL 15 manual, 8.15.6, "Array Input and Output Syntax".
enum PostgresArrayText {
    /// Quotes every element but NULL, which is always allowed and spares us the list of characters that need it.
    static func encode(_ elements: [String?]) -> String {
        var text = "{"
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(",") }
            guard let element else {
                text += "NULL"
                continue
            }
            text.append("\"")
            if element.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
                for scalar in element.unicodeScalars {
                    if scalar == "\"" || scalar == "\\" { text.unicodeScalars.append("\\") }
                    text.unicodeScalars.append(scalar)
                }
            } else {
                text += element
            }
            text.append("\"")
        }
        text.append("}")
        return text
    }

    /// Nil for anything but one dimension: we have no type for the others.
    static func decode(_ text: String) -> [String?]? {
        let bytes = Array(text.utf8)
        guard bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}"), bytes.count >= 2 else { return nil }
        let end = bytes.count - 1
        var elements: [String?] = []
        var index = 1
        while index < end {
            guard let element = decodeElement(bytes, &index, end: end) else { return nil }
            elements.append(element)
            if index == end { break }
            guard bytes[index] == UInt8(ascii: ","), index + 1 < end else { return nil }
            index += 1
        }
        return elements
    }

    private static func decodeElement(_ bytes: [UInt8], _ index: inout Int, end: Int) -> String?? {
        var element: [UInt8] = []
        let isQuoted = bytes[index] == UInt8(ascii: "\"")
        if isQuoted { index += 1 }
        var isClosed = !isQuoted
        scan: while index < end {
            switch bytes[index] {
            case UInt8(ascii: "\\"):
                guard index + 1 < end else { return nil }
                element.append(bytes[index + 1])
                index += 2
            case UInt8(ascii: "\"") where isQuoted:
                index += 1
                isClosed = true
                break scan
            case UInt8(ascii: "{") where !isQuoted, UInt8(ascii: "\"") where !isQuoted:
                return nil
            case UInt8(ascii: ",") where !isQuoted:
                break scan
            default:
                element.append(bytes[index])
                index += 1
            }
        }
        guard isClosed, isQuoted || !element.isEmpty else { return nil }
        if !isQuoted, element.elementsEqual("NULL".utf8) { return .some(nil) }
        return .some(String(decoding: element, as: UTF8.self))
    }
}

/// The hex format of `bytea`: `\x` and two digits per byte.
enum PostgresHex {
    static func encode(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = [UInt8(ascii: "\\"), UInt8(ascii: "x")]
        text.reserveCapacity(2 + bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func decode(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count >= 2, digits.count.isMultiple(of: 2), text.hasPrefix("\\x") else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2 - 1)
        for index in stride(from: 2, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
