import CLibPQ

/// The rows that a statement returned, or the number of rows that it changed.
package struct PostgresResult: Sendable, RandomAccessCollection {
    let storage: ResultStorage

    package var startIndex: Int { 0 }
    package var endIndex: Int { storage.rowCount }
    package subscript(position: Int) -> PostgresRow {
        precondition(position >= 0 && position < storage.rowCount, "row \(position) of \(storage.rowCount)")
        return PostgresRow(storage: storage, index: position)
    }

    /// Rows inserted, updated, deleted or selected; 0 for statements that count none.
    package var affectedRows: Int { storage.affectedRows }

    /// The command that ran, as the server names it: `COMMIT`, `INSERT 0 1`.
    var commandTag: String { storage.commandTag }
}

/// Owns one `PGresult`.
///
/// Unchecked, because the pointer is not Sendable; true, because nobody changes a `PGresult` after it was received, all
/// reads of it are plain memory accesses, and it is freed once, when its last owner lets go.
///
/// - Source: PostgreSQL 15 manual, 34.20, "Behavior in Threaded Programs": results are read-only after creation and
///   can be passed between threads.
@safe
final class ResultStorage: @unchecked Sendable {
    private let pointer: OpaquePointer
    let rowCount: Int
    let columnCount: Int

    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
        rowCount = unsafe Int(PQntuples(pointer))
        columnCount = unsafe Int(PQnfields(pointer))
    }

    deinit {
        unsafe PQclear(pointer)
    }

    var affectedRows: Int {
        unsafe Int(String(cString: PQcmdTuples(pointer))) ?? 0
    }

    var commandTag: String {
        unsafe String(cString: PQcmdStatus(pointer))
    }

    func name(of column: Int) -> String {
        guard let name = unsafe PQfname(pointer, Int32(column)) else { return "?" }
        return unsafe String(cString: name)
    }

    /// Compares exactly. `PQfnumber` would fold upper case as if the name were SQL.
    func position(of name: String) -> Int? {
        (0..<columnCount).first { self.name(of: $0) == name }
    }

    /// The value's text, nil for NULL. Row and column are within bounds: rows by ``PostgresResult``, columns by
    /// ``PostgresRow``.
    func text(row: Int, column: Int) -> String? {
        let (row, column) = (Int32(row), Int32(column))
        guard unsafe PQgetisnull(pointer, row, column) == 0, let bytes = unsafe PQgetvalue(pointer, row, column) else {
            return nil
        }
        let length = unsafe Int(PQgetlength(pointer, row, column))
        let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: length)
        return unsafe String(decoding: buffer, as: UTF8.self)
    }
}
