/// A statement and its parameters.
///
/// Written as an interpolated string whose values become bind parameters, never text:
///
/// ```swift
/// let query: PostgresQuery = "SELECT price FROM seats WHERE event_id = \(event) AND seat_id = ANY(\(seats))"
/// ```
///
/// The text is the key of the cache of prepared statements, so keep it constant: `\(unescaped:)` is for trusted SQL
/// such as a table's name, not for values.
///
/// - Bounds: 65,535 parameters, the protocol's limit; send many rows as arrays with `unnest` instead.
package struct PostgresQuery: Sendable, ExpressibleByStringInterpolation {
    package private(set) var sql: String
    package private(set) var parameters: [String?]

    /// SQL without parameters, or with `$1…` in the text and the parameters beside it.
    package init(sql: String, parameters: [any PostgresEncodable] = []) {
        self.sql = sql
        self.parameters = parameters.map(\.postgresText)
    }

    package init(stringLiteral value: String) {
        self.sql = value
        self.parameters = []
    }

    package init(stringInterpolation: StringInterpolation) {
        self.sql = stringInterpolation.sql
        self.parameters = stringInterpolation.parameters
    }

    package struct StringInterpolation: StringInterpolationProtocol {
        var sql: String
        var parameters: [String?]

        package init(literalCapacity: Int, interpolationCount: Int) {
            sql = ""
            sql.reserveCapacity(literalCapacity + interpolationCount * 3)
            parameters = []
            parameters.reserveCapacity(interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) {
            sql += literal
        }

        package mutating func appendInterpolation(_ value: some PostgresEncodable) {
            parameters.append(value.postgresText)
            sql += "$\(parameters.count)"
        }

        /// Trusted SQL, copied as it is.
        package mutating func appendInterpolation(unescaped text: String) {
            sql += text
        }
    }
}

extension PostgresQuery: CustomStringConvertible {
    /// Says how many parameters there are; neither the text nor the values.
    package var description: String { "a statement with \(parameters.count) parameters" }
}
