import CLibPQ

/// An error that the server reported for one statement, taken out of its `PGresult`.
struct ServerFailure: Sendable {
    static let queryCancelled = "57014"

    let sqlState: String?
    let severity: String?
    let constraint: String?
    let detail: String
    /// Set when we cancelled the statement ourselves.
    var cancelledBecause: PostgresError.Code?

    /// Reads the fields and leaves the result to its owner.
    ///
    /// - Source: PostgreSQL 15 manual, 34.3.1, `PQresultErrorField`; the field codes are those of the wire protocol.
    @unsafe
    init(_ result: OpaquePointer) {
        func field(_ code: Unicode.Scalar) -> String? {
            guard let text = unsafe PQresultErrorField(result, Int32(code.value)) else { return nil }
            return unsafe String(cString: text)
        }
        sqlState = field("C")
        severity = field("V")
        constraint = field("n")
        let message = unsafe field("M") ?? String(cString: PQresultErrorMessage(result))
        detail = [message, field("D"), field("H")]
            .compactMap { $0 }
            .joined(separator: "; ")
    }

    /// The server closes the connection after it. Whether it still committed is then unknown: a backend can be ended
    /// after its commit, while it waits for a replica.
    var endsConnection: Bool { severity == "FATAL" || severity == "PANIC" }

    /// A plan that a change of the schema made useless, or a name that the server forgot.
    var invalidatesStatement: Bool { sqlState == "0A000" || sqlState == "26000" }

    func error(_ operation: String, statement: String?) -> PostgresError {
        switch cancelledBecause {
        case .cancelled?:
            return PostgresError(
                .cancelled,
                "\(operation): cancelled with its caller",
                sqlState: sqlState,
                detail: detail,
                statement: statement
            )
        case .statementTimeout?:
            return PostgresError(
                .statementTimeout,
                "\(operation): not done before its deadline",
                sqlState: sqlState,
                isRetryable: true,
                detail: detail,
                statement: statement
            )
        default:
            let state = sqlState ?? "XX000"
            return PostgresError(
                .server(sqlState: state),
                "\(operation): refused by the server",
                sqlState: state,
                constraint: constraint,
                isRetryable: PostgresError.isTransient(sqlState: state),
                detail: detail,
                statement: statement
            )
        }
    }
}
