package import NIOCore

/// One reply of Redis in RESP2.
package enum RESPValue: Sendable, Equatable {
    case null
    case integer(Int)
    case simpleString(String)
    case bulk(ByteBuffer)
    case array([RESPValue])
    case error(String)
}

extension RESPValue {
    /// The text of a bulk or simple string; nil for other kinds and for bytes that are not UTF-8.
    package var string: String? {
        switch self {
        case .simpleString(let text): text
        case .bulk(let buffer): String(validating: buffer.readableBytesView, as: UTF8.self)
        case .null, .integer, .array, .error: nil
        }
    }

    /// An integer reply, or a string that is written as one, as Redis gives the values of keys and of hash fields.
    package var int: Int? {
        switch self {
        case .integer(let number): number
        case .bulk, .simpleString: string.flatMap { Int($0) }
        case .null, .array, .error: nil
        }
    }

    package var buffer: ByteBuffer? {
        switch self {
        case .bulk(let buffer): buffer
        case .simpleString(let text): ByteBuffer(string: text)
        case .null, .integer, .array, .error: nil
        }
    }

    package var array: [RESPValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    package var isNull: Bool {
        self == .null
    }

    /// The failure that an error reply stands for; nil for every other kind.
    package var failure: RedisError? {
        if case .error(let text) = self { RedisError(reply: text) } else { nil }
    }
}
