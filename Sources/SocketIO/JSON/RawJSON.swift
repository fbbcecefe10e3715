import EngineIO
import FoundationEssentials
package import NIOCore
import NIOFoundationCompat

/// One JSON value as the bytes it is written in, with the binary attachments its placeholders stand for.
///
/// As an argument of `emit` or an acknowledgement it is spliced in unchanged.
package struct RawJSON: Sendable, Equatable, Codable {
    package let bytes: ByteBuffer
    package let attachments: [ByteBuffer]

    package static let emptyObject = RawJSON(trusted: "{}")
    package static let null = RawJSON(trusted: "null")

    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return encoder
    }()
    static let decoder = JSONDecoder()

    init(bytes: ByteBuffer, attachments: [ByteBuffer]) {
        self.bytes = bytes
        self.attachments = attachments
    }

    /// Takes bytes that are known to be one JSON value: the caller made or checked them.
    package init(trusted bytes: ByteBuffer) {
        self.bytes = bytes
        self.attachments = []
    }

    package init(trusted text: String) {
        self.init(trusted: ByteBuffer(string: text))
    }

    /// The same with attachments: a placeholder's number is one's place among them.
    package init(trusted bytes: ByteBuffer, attachments: [ByteBuffer]) {
        self.init(bytes: bytes, attachments: attachments)
    }

    /// Takes bytes of anybody.
    ///
    /// - Bounds: nesting up to 16; the length is the caller's to bound.
    package init(validating bytes: ByteBuffer) throws(JSONSyntaxError) {
        try Self.check(bytes, refusesDuplicates: false)
        self.init(trusted: bytes)
    }

    package init(validating text: String) throws(JSONSyntaxError) {
        try self.init(validating: ByteBuffer(string: text))
    }

    package init(encoding value: some Encodable) throws {
        if let raw = value as? RawJSON {
            self = raw
        } else {
            self.init(trusted: ByteBuffer(data: try Self.encoder.encode(value)))
        }
    }

    /// A binary value; it travels as an attachment.
    package init(binary: ByteBuffer) {
        self.init(bytes: ByteBuffer(string: #"{"_placeholder":true,"num":0}"#), attachments: [binary])
    }

    package var string: String { String(buffer: self.bytes) }

    /// The value as a type of yours. A key that is there twice is refused. A binary value is a `ByteBuffer` or `Data`; a
    /// `RawJSON` is the value as it is.
    package func decode<T: Decodable>(_ type: T.Type = T.self) throws -> T {
        if let itself = self as? T { return itself }
        if let attachment = self.attachment {
            if let bytes = attachment as? T { return bytes }
            if let data = Data(buffer: attachment) as? T { return data }
        }
        try Self.check(self.bytes, refusesDuplicates: true)
        return try Self.decoder.decode(type, from: self.bytes)
    }

    /// The attachment that the whole value stands for.
    package var attachment: ByteBuffer? {
        guard !self.attachments.isEmpty else { return nil }
        return self.bytes.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes, findsPlaceholders: true)
            // The value was checked when it came.
            try? scanner.skipValue()
            guard let first = scanner.placeholders.last, first.range == 0..<bytes.count, let number = first.number,
                self.attachments.indices.contains(number)
            else { return nil }
            return self.attachments[number]
        }
    }

    /// Takes a value from the middle of a decoded one; its numbers may be written in another way then.
    package init(from decoder: any Decoder) throws {
        try self.init(encoding: JSONTree(from: decoder))
    }

    /// Encodes the value in the middle of another one; needed only when it is a property of an encoded type.
    package func encode(to encoder: any Encoder) throws {
        try Self.decoder.decode(JSONTree.self, from: self.bytes).encode(to: encoder)
    }

    private static func check(_ bytes: ByteBuffer, refusesDuplicates: Bool) throws(JSONSyntaxError) {
        let result: Result<Void, JSONSyntaxError> = bytes.withUnsafeReadableBytes { raw in
            guard UTF8Check.isValid(raw) else {
                return .failure(JSONSyntaxError(message: "text is not UTF-8", offset: 0))
            }
            var scanner = JSONScanner(raw, refusesDuplicates: refusesDuplicates)
            do throws(JSONSyntaxError) {
                scanner.skipBlanks()
                try scanner.skipValue()
                scanner.skipBlanks()
                guard scanner.isAtEnd else { throw scanner.failure("something follows the value") }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}

/// A JSON value as a tree, for the rare raw value inside an encoded type.
private enum JSONTree: Codable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case array([JSONTree])
    case object([String: JSONTree])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONTree].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONTree].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
