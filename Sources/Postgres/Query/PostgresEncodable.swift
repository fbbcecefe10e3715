package import struct Foundation.UUID

/// A value that can be bound to a parameter of a statement.
///
/// Parameters travel in PostgreSQL's text format, and the server infers their types from the statement. Where it
/// cannot (`SELECT \(a) + \(b)`), add a cast: `\(a)::bigint`.
package protocol PostgresEncodable: Sendable {
    /// The value in PostgreSQL's text format, or nil for NULL.
    var postgresText: String? { get }
}

extension String: PostgresEncodable {
    package var postgresText: String? { self }
}

extension Int: PostgresEncodable {
    package var postgresText: String? { description }
}

extension Int64: PostgresEncodable {
    package var postgresText: String? { description }
}

extension Int32: PostgresEncodable {
    package var postgresText: String? { description }
}

extension Bool: PostgresEncodable {
    package var postgresText: String? { self ? "t" : "f" }
}

extension Double: PostgresEncodable {
    package var postgresText: String? {
        if isNaN { return "NaN" }
        if isInfinite { return self < 0 ? "-Infinity" : "Infinity" }
        return description
    }
}

extension UUID: PostgresEncodable {
    package var postgresText: String? { uuidString }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    package var postgresText: String? { flatMap(\.postgresText) }
}

// MARK: Arrays and bytes

/// The elements an array may have. `UInt8` is one of them because Swift allows `[UInt8]` only one conformance with the
/// other arrays; it makes the array a `bytea`.
package protocol PostgresArrayEncodable: Sendable {
    static func postgresText(of array: [Self]) -> String?
}

extension PostgresArrayEncodable where Self: PostgresEncodable {
    package static func postgresText(of array: [Self]) -> String? {
        PostgresArrayText.encode(array.map(\.postgresText))
    }
}

extension String: PostgresArrayEncodable {}
extension Int: PostgresArrayEncodable {}
extension Int64: PostgresArrayEncodable {}
extension Int32: PostgresArrayEncodable {}
extension Bool: PostgresArrayEncodable {}
extension Double: PostgresArrayEncodable {}
extension UUID: PostgresArrayEncodable {}
extension Optional: PostgresArrayEncodable where Wrapped: PostgresEncodable {}

extension UInt8: PostgresArrayEncodable {
    package static func postgresText(of array: [UInt8]) -> String? {
        PostgresHex.encode(array)
    }
}

extension Array: PostgresEncodable where Element: PostgresArrayEncodable {
    package var postgresText: String? { Element.postgresText(of: self) }
}
