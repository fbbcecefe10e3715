package import struct Foundation.UUID

/// A value that can be read from a column.
///
/// Results travel in PostgreSQL's text format. A type of your own needs two members:
///
/// ```swift
/// extension SeatID: PostgresDecodable {
///     package static var postgresTypeName: String { "seat id" }
///     package init?(postgresText text: String) { self.init(text) }
/// }
/// ```
package protocol PostgresDecodable: Sendable {
    /// What the error calls the type that was expected.
    static var postgresTypeName: String { get }
    /// Reads a value that is not NULL; nil if the text is not one of this type.
    init?(postgresText text: String)
    /// Reads a column; only ``Optional`` accepts NULL, given here as nil.
    static func decode(postgresText text: String?) -> Self?
}

extension PostgresDecodable {
    package static func decode(postgresText text: String?) -> Self? {
        guard let text else { return nil }
        return Self(postgresText: text)
    }
}

extension String: PostgresDecodable {
    package static var postgresTypeName: String { "text" }
    package init?(postgresText text: String) { self = text }
}

extension Int: PostgresDecodable {
    package static var postgresTypeName: String { "bigint" }
    package init?(postgresText text: String) { self.init(text) }
}

extension Int64: PostgresDecodable {
    package static var postgresTypeName: String { "bigint" }
    package init?(postgresText text: String) { self.init(text) }
}

extension Int32: PostgresDecodable {
    package static var postgresTypeName: String { "integer" }
    package init?(postgresText text: String) { self.init(text) }
}

extension Bool: PostgresDecodable {
    package static var postgresTypeName: String { "boolean" }
    package init?(postgresText text: String) {
        switch text {
        case "t": self = true
        case "f": self = false
        default: return nil
        }
    }
}

extension Double: PostgresDecodable {
    package static var postgresTypeName: String { "double precision" }
    package init?(postgresText text: String) {
        switch text {
        case "NaN": self = .nan
        case "Infinity": self = .infinity
        case "-Infinity": self = -.infinity
        default: self.init(text)
        }
    }
}

extension UUID: PostgresDecodable {
    package static var postgresTypeName: String { "uuid" }
    package init?(postgresText text: String) { self.init(uuidString: text) }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    package static var postgresTypeName: String { "\(Wrapped.postgresTypeName) or null" }
    package init?(postgresText text: String) {
        guard let wrapped = Wrapped(postgresText: text) else { return nil }
        self = .some(wrapped)
    }

    package static func decode(postgresText text: String?) -> Wrapped?? {
        guard let text else { return .some(nil) }
        guard let wrapped = Wrapped(postgresText: text) else { return nil }
        return .some(.some(wrapped))
    }
}

// MARK: Arrays and bytes

/// The elements an array may have; see ``PostgresArrayEncodable`` for why `UInt8` is among them.
package protocol PostgresArrayDecodable: Sendable {
    static var postgresArrayTypeName: String { get }
    static func decode(postgresArray text: String) -> [Self]?
}

extension PostgresArrayDecodable where Self: PostgresDecodable {
    package static var postgresArrayTypeName: String { "\(postgresTypeName)[]" }

    package static func decode(postgresArray text: String) -> [Self]? {
        guard let elements = PostgresArrayText.decode(text) else { return nil }
        var values: [Self] = []
        values.reserveCapacity(elements.count)
        for element in elements {
            guard let value = Self.decode(postgresText: element) else { return nil }
            values.append(value)
        }
        return values
    }
}

extension String: PostgresArrayDecodable {}
extension Int: PostgresArrayDecodable {}
extension Int64: PostgresArrayDecodable {}
extension Int32: PostgresArrayDecodable {}
extension Bool: PostgresArrayDecodable {}
extension Double: PostgresArrayDecodable {}
extension UUID: PostgresArrayDecodable {}
extension Optional: PostgresArrayDecodable where Wrapped: PostgresDecodable {}

extension UInt8: PostgresArrayDecodable {
    package static var postgresArrayTypeName: String { "bytea" }
    package static func decode(postgresArray text: String) -> [UInt8]? { PostgresHex.decode(text) }
}

extension Array: PostgresDecodable where Element: PostgresArrayDecodable {
    package static var postgresTypeName: String { Element.postgresArrayTypeName }
    package init?(postgresText text: String) {
        guard let values = Element.decode(postgresArray: text) else { return nil }
        self = values
    }
}
