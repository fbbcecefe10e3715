package import Logging
import ServiceLifecycle

/// PostgreSQL for the rest of the program: a pool of connections, statements and transactions.
///
/// It may be used before ``run()`` has made the first connection: callers wait for one until
/// ``PostgresConfiguration/acquireTimeout``.
package final class PostgresClient: Service, Sendable {
    package let configuration: PostgresConfiguration
    private let pool: PostgresPool
    private let metrics: PostgresMetrics
    let logger: Logger

    package init(configuration: PostgresConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        metrics = PostgresMetrics()
        pool = PostgresPool(configuration: configuration, logger: logger, metrics: metrics)
    }

    /// Keeps the pool until graceful shutdown or cancellation, and returns after the last connection is closed.
    package func run() async throws {
        await pool.run()
    }

    /// Runs one statement, committed by itself.
    ///
    /// A connection that turns out to be closed before the statement was sent is replaced by another, unseen.
    ///
    /// - Throws: ``PostgresError``; its `mayHaveRun` is true if the statement was sent and no answer came.
    package func query(
        _ query: PostgresQuery,
        file: String = #fileID,
        line: Int = #line
    ) async throws(PostgresError) -> PostgresResult {
        let start = ContinuousClock.now
        // Every idle connection may be stale after a restart of the server, so there is one attempt for each.
        var attempts = configuration.poolSize + 1
        while true {
            attempts -= 1
            let lease = try await pool.lease()
            let result = await lease.connection.call(PostgresConnection.Call(queries: [query]))
            pool.release(lease)
            switch result {
            case .success(let reply):
                metrics.query(since: start, isSuccess: true)
                return reply.results[0]
            case .failure(var error):
                if error.code == .connection, !error.mayHaveRun, attempts > 0 { continue }
                metrics.query(since: start, isSuccess: false)
                error.file = file
                error.line = line
                throw error
            }
        }
    }

    /// Lends a connection to `body`, which must leave it as it found it: no open transaction, no session lock, no
    /// changed setting. A connection left in a transaction or in an unknown state is closed.
    package func withConnection<R: Sendable>(_ body: (PostgresConnection) async throws -> R) async throws -> R {
        let lease = try await pool.lease()
        defer { pool.release(lease) }
        return try await body(lease.connection)
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// `body` runs again, at most three times more, when the server found a serialization failure or a deadlock, or
    /// when the connection was lost before the commit; nothing of the former run remains. So it must do nothing but
    /// talk to the transaction it is given. `BEGIN` travels with its first statement.
    ///
    /// - Throws: what `body` throws, unchanged, after rolling back. ``PostgresError`` with `mayHaveRun == true` if the
    ///   connection was lost while committing: the transaction is then either wholly done or wholly not.
    package func withTransaction<R: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        _ body: (PostgresTransaction) async throws -> R
    ) async throws -> R {
        let maxRetries = 3
        var retries = 0
        while true {
            let lease = try await pool.lease()
            let outcome = await PostgresTransaction.run(
                on: lease.connection,
                isolation: isolation,
                metrics: metrics,
                body
            )
            pool.release(lease)
            switch outcome {
            case .done(let value): return value
            case .failed(let error): throw error
            case .conflict(let error):
                guard retries < maxRetries else { throw error }
                retries += 1
                logger.debug("postgres transaction repeated", metadata: ["postgres.retry": "\(retries)"])
                // Those who collided must not collide again in step: 0 to 10, 20 or 40 ms.
                let span = 5_000.0 * Double(1 << retries)
                try await Task.sleep(for: .microseconds(Int64(Double.random(in: 0..<span))))
            }
        }
    }
}
