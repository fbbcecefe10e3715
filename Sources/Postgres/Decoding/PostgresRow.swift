/// One row of a result. It keeps the whole result alive, so decode it and let it go.
package struct PostgresRow: Sendable {
    let storage: ResultStorage
    let index: Int

    /// Reads all columns by position.
    ///
    /// ```swift
    /// let (id, price) = try row.decode((String, Int64).self)
    /// ```
    ///
    /// - Throws: ``PostgresError`` with code `decoding` if the number of columns differs, or at the first column whose
    ///   value is not of its type. The message names column and type, never the value.
    package func decode<each T: PostgresDecodable>(
        _ type: (repeat each T).Type,
        file: String = #fileID,
        line: Int = #line
    ) throws(PostgresError) -> (repeat each T) {
        var expected = 0
        for _ in repeat (each T).self { expected += 1 }
        guard expected == storage.columnCount else {
            throw PostgresError(
                .decoding,
                "decode: the row has \(storage.columnCount) columns, \(expected) were asked for",
                file: file,
                line: line
            )
        }
        var column = -1
        func next<V: PostgresDecodable>(_ type: V.Type) throws(PostgresError) -> V {
            column += 1
            return try decode(column, as: type, file: file, line: line)
        }
        return (repeat try next((each T).self))
    }

    /// Reads one column by its name.
    package func decode<T: PostgresDecodable>(
        _ column: String,
        as type: T.Type,
        file: String = #fileID,
        line: Int = #line
    ) throws(PostgresError) -> T {
        guard let position = storage.position(of: column) else {
            throw PostgresError(.decoding, "decode: the row has no column \"\(column)\"", file: file, line: line)
        }
        return try decode(position, as: type, file: file, line: line)
    }

    private func decode<T: PostgresDecodable>(
        _ column: Int,
        as type: T.Type,
        file: String,
        line: Int
    ) throws(PostgresError) -> T {
        let text = storage.text(row: index, column: column)
        guard let value = T.decode(postgresText: text) else {
            let found = text == nil ? "null" : "not of that type"
            throw PostgresError(
                .decoding,
                "decode: column \"\(storage.name(of: column))\" should be \(T.postgresTypeName) and is \(found)",
                file: file,
                line: line
            )
        }
        return value
    }
}
