package import NIOCore

/// The HTTP request that opened a session: kept as one compact piece, read when asked.
///
/// An idle connection keeps its request for as long as it lives, so the header fields stay bytes instead of
/// becoming strings in an array.
package struct EngineRequest: Sendable {
    /// Request line and header fields up to the blank line, separated by CR LF; checked when it was parsed.
    private let head: [UInt8]
    /// The request line's end within `head`.
    private let lineEnd: Int
    package let remoteAddress: SocketAddress?
    package let receivedAt: NIODeadline
    package let isSecure: Bool

    package init(head: [UInt8], remoteAddress: SocketAddress?, receivedAt: NIODeadline, isSecure: Bool) {
        self.head = head
        self.lineEnd = head.firstIndex(of: 0x0D) ?? head.count
        self.remoteAddress = remoteAddress
        self.receivedAt = receivedAt
        self.isSecure = isSecure
    }

    /// The request target as it came: path and query.
    package var target: Substring {
        let line = String(decoding: self.head[..<self.lineEnd], as: UTF8.self)
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        return parts.count == 3 ? parts[1] : ""
    }

    package var path: String { String(self.target.prefix { $0 != "?" }) }

    /// The first value of a query parameter, percent-decoded.
    package func query(_ name: String) -> String? {
        for item in self.queryItems where item.name == name { return item.value }
        return nil
    }

    package var queryItems: [(name: String, value: String)] {
        guard let mark = self.target.firstIndex(of: "?") else { return [] }
        return self.target[self.target.index(after: mark)...].split(separator: "&").map { item in
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (percentDecoded(pair[0]), pair.count == 2 ? percentDecoded(pair[1]) : "")
        }
    }

    /// The first value of a header field; names are compared without regard to case.
    package func header(_ name: String) -> String? {
        let wanted = Array(name.utf8)
        var start = self.lineEnd + 2
        while start < self.head.count {
            let end = self.head[start...].firstIndex(of: 0x0D) ?? self.head.count
            if let colon = self.head[start..<end].firstIndex(of: 0x3A), colon - start == wanted.count,
                zip(self.head[start..<colon], wanted).allSatisfy({ lowercased($0) == lowercased($1) })
            {
                return Self.value(self.head[(colon + 1)..<end])
            }
            start = end + 2
        }
        return nil
    }

    package var headers: [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        var start = self.lineEnd + 2
        while start < self.head.count {
            let end = self.head[start...].firstIndex(of: 0x0D) ?? self.head.count
            if let colon = self.head[start..<end].firstIndex(of: 0x3A) {
                let name = String(decoding: self.head[start..<colon], as: UTF8.self)
                fields.append((name, Self.value(self.head[(colon + 1)..<end])))
            }
            start = end + 2
        }
        return fields
    }

    private static func value(_ bytes: ArraySlice<UInt8>) -> String {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let trimmed = bytes.drop(while: isBlank)
        guard let last = trimmed.lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(decoding: trimmed[...last], as: UTF8.self)
    }
}

private func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
}

/// Decodes `%XX` and `+` of a query; what is no valid escape stays as it is.
func percentDecoded(_ text: Substring) -> String {
    guard text.utf8.contains(where: { $0 == 0x25 || $0 == 0x2B }) else { return String(text) }
    let bytes = Array(text.utf8)
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        if byte == 0x25, index + 2 < bytes.count, let high = hexValue(bytes[index + 1]),
            let low = hexValue(bytes[index + 2])
        {
            out.append(high << 4 | low)
            index += 3
        } else {
            out.append(byte == 0x2B ? 0x20 : byte)
            index += 1
        }
    }
    return String(decoding: out, as: UTF8.self)
}

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
