/// What went wrong between us and PostgreSQL.
///
/// ``description`` names the operation, the SQLSTATE and the constraint and is safe to log anywhere. The server's own
/// words may quote values, so they appear, with the statement's text, in ``debugDescription`` alone.
package struct PostgresError: Error, Sendable {
    package enum Code: Sendable, Equatable {
        /// The address or a setting is malformed.
        case configuration
        /// The connection could not be made, or was lost.
        case connection
        /// The pool had no connection to give in time.
        case acquireTimeout
        /// Too many callers wait for a connection already.
        case poolExhausted
        /// The client is closing, or was closed.
        case closed
        /// The server refused the statement.
        case server(sqlState: String)
        /// The statement did not end before its deadline.
        case statementTimeout
        /// The caller's task was cancelled.
        case cancelled
        /// A value could not be sent, for instance text that holds a zero byte.
        case encoding
        /// A column is missing, or its value is not of the type asked for.
        case decoding
        /// The transaction was used after its end, or the server rolled back what should have been committed.
        case transaction
        /// The migrations on disk and those in the database disagree.
        case migration
    }

    package var code: Code
    /// Names the operation, the limit and the remedy if any; never a value, never the text of a statement.
    package var message: String
    /// The five letters of the server's answer, also when ``code`` says `statementTimeout` or `cancelled`.
    package var sqlState: String?
    /// The constraint that the server named, for instance the unique index that a second sale of a seat would break.
    package var constraint: String?
    /// Whether the same call may succeed a moment later. Look at ``mayHaveRun`` before repeating what is not repeatable.
    package var isRetryable: Bool
    /// Whether the work may have been done and stayed done although the caller got no answer.
    package var mayHaveRun: Bool
    /// The server's or libpq's words, with details: for ``debugDescription`` only.
    package var detail: String?
    /// The text of the statement, without its arguments: for ``debugDescription`` only.
    package var statement: String?
    package var underlying: (any Error)?
    package var file: String
    package var line: Int

    package init(
        _ code: Code,
        _ message: String,
        sqlState: String? = nil,
        constraint: String? = nil,
        isRetryable: Bool = false,
        mayHaveRun: Bool = false,
        detail: String? = nil,
        statement: String? = nil,
        underlying: (any Error)? = nil,
        file: String = #fileID,
        line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.sqlState = sqlState
        self.constraint = constraint
        self.isRetryable = isRetryable
        self.mayHaveRun = mayHaveRun
        self.detail = detail
        self.statement = statement
        self.underlying = underlying
        self.file = file
        self.line = line
    }
}

// MARK: Answers about the SQLSTATE

extension PostgresError {
    /// Serialization failure or deadlock: the transaction was rolled back and another try may succeed.
    package var isTransactionConflict: Bool { sqlState == "40001" || sqlState == "40P01" }
    package var isUniqueViolation: Bool { sqlState == "23505" }
    package var isForeignKeyViolation: Bool { sqlState == "23503" }
    package var isCheckViolation: Bool { sqlState == "23514" }

    /// Conditions that pass without anybody changing the statement.
    ///
    /// - Source: PostgreSQL 15 manual, appendix A, "PostgreSQL Error Codes".
    static func isTransient(sqlState: String) -> Bool {
        switch sqlState {
        case "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "53400": true
        default: sqlState.hasPrefix("08")
        }
    }
}

extension PostgresError: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String {
        var text = "postgres: \(message)"
        if let sqlState { text += " [SQLSTATE \(sqlState)]" }
        if let constraint { text += " [constraint \(constraint)]" }
        return text
    }

    package var debugDescription: String {
        var text = "\(description) (\(code), retryable \(isRetryable), may have run \(mayHaveRun), \(file):\(line))"
        if let detail { text += "\n  server: \(detail)" }
        if let statement { text += "\n  statement: \(statement)" }
        if let underlying { text += "\n  caused by: \(String(reflecting: underlying))" }
        return text
    }
}
