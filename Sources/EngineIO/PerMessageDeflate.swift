/// Compression of single WebSocket messages, and its negotiation.
///
/// Each message stands by itself in both directions: no socket then keeps zlib's state between messages, which is
/// 300 KiB elsewhere, and what a broadcast sends is compressed once for all of its receivers.
///
/// - Source: RFC 7692, section 7.
package struct PerMessageDeflate: Sendable, Equatable {
    /// Messages of at least so many bytes are compressed; shorter ones gain little.
    package var threshold: Int

    package init(threshold: Int = 1024) {
        self.threshold = threshold
    }

    /// What was agreed with one client.
    package struct Agreement: Sendable, Equatable {
        /// The value of `Sec-WebSocket-Extensions` in our answer.
        package let field: String
        /// The longest message that may be compressed for this client. Nothing within a message is further back
        /// than its beginning, so a message that fits the client's window needs no smaller window of ours; a
        /// longer one goes as it is.
        package let maxCompressedBytes: Int
    }

    /// The answer to a client's offer; `nil` if there is nothing in it that we can do.
    package static func negotiate(offer: String) -> String? { Self.agree(on: offer)?.field }

    /// Takes the first of a client's offers that is understood.
    ///
    /// - Parameter offer: the values of all `Sec-WebSocket-Extensions` fields, joined by commas.
    /// - Returns: `nil` if no offer is acceptable, or if the list is malformed.
    package static func agree(on offer: String) -> Agreement? {
        var list = ExtensionList(offer)
        guard let offers = list.parse() else { return nil }
        for offer in offers where offer.name == "permessage-deflate" {
            if let agreement = Self.agreement(offer.parameters) { return agreement }
        }
        return nil
    }

    /// `nil` declines: a parameter that is unknown, there twice, or has a value it must not have.
    private static func agreement(_ parameters: [ExtensionList.Parameter]) -> Agreement? {
        var names: Set<String> = []
        var serverBits: Int?
        for parameter in parameters {
            guard names.insert(parameter.name).inserted else { return nil }
            switch parameter.name {
            case "server_no_context_takeover", "client_no_context_takeover":
                guard parameter.value == nil else { return nil }
            case "client_max_window_bits":
                // A hint that the client can use a smaller window; ours is the largest there is.
                guard parameter.value.map({ Self.windowBits($0) != nil }) ?? true else { return nil }
            case "server_max_window_bits":
                guard let bits = parameter.value.flatMap({ Self.windowBits($0) }) else { return nil }
                serverBits = bits
            default:
                return nil
            }
        }
        var field = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        if let serverBits { field += "; server_max_window_bits=\(serverBits)" }
        // 15 is what zlib uses anyway.
        let limit = serverBits.flatMap { $0 < 15 ? 1 << $0 : nil }
        return Agreement(field: field, maxCompressedBytes: limit ?? Int.max)
    }

    /// 8 to 15, without a leading zero.
    private static func windowBits(_ text: String) -> Int? {
        guard let bits = Int(text), (8...15).contains(bits), text == "\(bits)" else { return nil }
        return bits
    }
}

/// Reads `Sec-WebSocket-Extensions`.
///
/// - Shape: `name [; parameter [= value]]…`, joined by commas; a value is a token, with or without quotes.
/// - Source: RFC 6455, section 9.1; RFC 9110, section 5.6, for lists and quoted strings.
private struct ExtensionList {
    struct Parameter {
        var name: String
        var value: String?
    }

    struct Item {
        var name: String
        var parameters: [Parameter]
    }

    private let bytes: [UInt8]
    private var index = 0

    init(_ text: String) { self.bytes = Array(text.utf8) }

    /// `nil` if the list is malformed.
    mutating func parse() -> [Item]? {
        var items: [Item] = []
        while true {
            // Empty elements are allowed in lists.
            while self.take(0x2C) {}
            if self.isAtEnd { return items }
            guard let name = self.token() else { return nil }
            var item = Item(name: name, parameters: [])
            while self.take(0x3B) {
                guard let parameter = self.token() else { return nil }
                var value: String?
                if self.take(0x3D) {
                    value = self.value()
                    if value == nil { return nil }
                }
                item.parameters.append(Parameter(name: parameter, value: value))
            }
            items.append(item)
            guard self.isAtEnd || self.bytes[self.index] == 0x2C else { return nil }
        }
    }

    private var isAtEnd: Bool { self.index == self.bytes.count }

    private mutating func skipBlanks() {
        while !self.isAtEnd, self.bytes[self.index] == 0x20 || self.bytes[self.index] == 0x09 { self.index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        self.skipBlanks()
        guard !self.isAtEnd, self.bytes[self.index] == byte else { return false }
        self.index += 1
        self.skipBlanks()
        return true
    }

    private mutating func token() -> String? {
        let start = self.index
        while !self.isAtEnd, isTokenCharacter(self.bytes[self.index]) { self.index += 1 }
        guard self.index > start else { return nil }
        defer { self.skipBlanks() }
        return String(decoding: self.bytes[start..<self.index], as: UTF8.self)
    }

    /// A token, or one in quotes; after its escapes are taken away it must be a token still.
    private mutating func value() -> String? {
        guard !self.isAtEnd, self.bytes[self.index] == 0x22 else { return self.token() }
        self.index += 1
        var text: [UInt8] = []
        while !self.isAtEnd, self.bytes[self.index] != 0x22 {
            if self.bytes[self.index] == 0x5C { self.index += 1 }
            guard !self.isAtEnd, isTokenCharacter(self.bytes[self.index]) else { return nil }
            text.append(self.bytes[self.index])
            self.index += 1
        }
        guard !self.isAtEnd, !text.isEmpty else { return nil }
        self.index += 1
        self.skipBlanks()
        return String(decoding: text, as: UTF8.self)
    }
}

private func isTokenCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
    default: false
    }
}
