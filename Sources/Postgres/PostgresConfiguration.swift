import CLibPQ

/// Where PostgreSQL is and how patient we are with it.
package struct PostgresConfiguration: Sendable {
    /// A libpq connection string; it may hold a password, so it is never logged.
    package let url: String
    /// Connections at most, each with a thread of its own.
    package var poolSize = 8
    /// Callers that may wait for a connection; one more is refused at once, retryable.
    package var maxWaiters = 256
    /// How long a caller waits for a connection.
    package var acquireTimeout: Duration = .seconds(2)
    /// How long opening a connection may take, name look-up excepted.
    package var connectTimeout: Duration = .seconds(5)
    /// How long one statement, or one pipeline of statements, may take before it is cancelled.
    package var statementTimeout: Duration = .seconds(10)
    /// How long a cancelled statement may take to end. After that its connection is abandoned: a server that does not
    /// even answer a cancel request is stopped or cut off.
    package var cancelGrace: Duration = .milliseconds(500)
    /// Prepared statements kept per connection; the one unused for longest makes room.
    package var statementCacheSize = 256

    /// Accepts what libpq accepts: `postgresql://user:password@host:port/database?option=value` or `key=value` pairs.
    ///
    /// - Throws: ``PostgresError`` with code `configuration`. Its message does not quote the address, which may hold a
    ///   password.
    package init(url: String) throws(PostgresError) {
        guard !url.isEmpty, !url.utf8.contains(0) else {
            throw PostgresError(.configuration, "the PostgreSQL address is empty or holds a zero byte")
        }
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse(url, &complaint) else {
            let detail = unsafe complaint.map { unsafe String(cString: $0) }
            unsafe PQfreemem(complaint)
            throw PostgresError(
                .configuration,
                "the PostgreSQL address is malformed; write postgresql://user:password@host:port/database",
                detail: detail
            )
        }
        unsafe PQconninfoFree(options)
        self.url = url
    }
}
