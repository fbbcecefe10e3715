import Synchronization

/// A transaction under way, valid inside the closure it was given to.
package struct PostgresTransaction: Sendable {
    /// Shared with ``run(on:isolation:metrics:_:)``, which must know what happened even if the body hides it.
    private final class Progress: Sendable {
        enum Phase {
            case unopened, open, ended
        }

        struct Value {
            var phase = Phase.unopened
            /// A conflict or a lost connection: whatever the body makes of it, the transaction is gone.
            var fatal: PostgresError?
        }

        let value = Mutex(Value())
    }

    /// How one run of the body ended.
    enum Outcome<R: Sendable>: Sendable {
        case done(R)
        case failed(any Error)
        /// Nothing remains of the run, and another may succeed.
        case conflict(any Error)
    }

    private let connection: PostgresConnection
    private let isolation: PostgresIsolation
    private let metrics: PostgresMetrics
    private let progress = Progress()

    /// Runs one statement. After a failure the server refuses every further one.
    package func query(
        _ query: PostgresQuery,
        file: String = #fileID,
        line: Int = #line
    ) async throws(PostgresError) -> PostgresResult {
        try await pipeline([query], file: file, line: line)[0]
    }

    /// Sends the statements in one go and waits once for all of them; the first failure is thrown and the rest is
    /// skipped by the server.
    package func pipeline(
        _ queries: [PostgresQuery],
        file: String = #fileID,
        line: Int = #line
    ) async throws(PostgresError) -> [PostgresResult] {
        guard !queries.isEmpty else { return [] }
        var call = PostgresConnection.Call(queries: queries)
        let phase = progress.value.withLock { value in
            let phase = value.phase
            if phase == .unopened { value.phase = .open }
            return phase
        }
        switch phase {
        case .unopened: call.prelude = isolation.begin
        case .open: break
        case .ended: throw PostgresError(.transaction, "query: the transaction has ended", file: file, line: line)
        }
        let start = ContinuousClock.now
        let result = await connection.call(call)
        switch result {
        case .success(let reply):
            metrics.query(since: start, isSuccess: true)
            return reply.results
        case .failure(var error):
            metrics.query(since: start, isSuccess: false)
            // Nothing is committed yet, so nothing can remain.
            error.mayHaveRun = false
            error.file = file
            error.line = line
            if error.isTransactionConflict || error.code == .connection {
                progress.value.withLock { $0.fatal = $0.fatal ?? error }
            }
            throw error
        }
    }

    // MARK: Begin to end

    static func run<R: Sendable>(
        on connection: PostgresConnection,
        isolation: PostgresIsolation,
        metrics: PostgresMetrics,
        _ body: (PostgresTransaction) async throws -> R
    ) async -> Outcome<R> {
        let transaction = PostgresTransaction(connection: connection, isolation: isolation, metrics: metrics)
        let result: Result<R, any Error>
        do {
            result = .success(try await body(transaction))
        } catch {
            result = .failure(error)
        }
        let (phase, fatal) = transaction.progress.value.withLock { value in
            defer { value.phase = .ended }
            return (value.phase, value.fatal)
        }
        if let fatal {
            // A rollback on a lost connection fails, and the pool closes the connection instead.
            _ = await transaction.end("ROLLBACK")
            if case .failure(let error) = result { return .conflict(error) }
            return .conflict(fatal)
        }
        switch result {
        case .failure(let error):
            if phase == .open { _ = await transaction.end("ROLLBACK") }
            return .failed(error)
        case .success(let value):
            guard phase == .open else { return .done(value) }
            return await transaction.commit(value)
        }
    }

    private func commit<R: Sendable>(_ value: R) async -> Outcome<R> {
        switch await end("COMMIT") {
        case .success(let reply) where reply.prelude?.commandTag == "COMMIT":
            return .done(value)
        case .success:
            // The server answers a commit of a failed transaction with ROLLBACK, and no error.
            return .failed(
                PostgresError(.transaction, "commit: rolled back, because a statement failed and the body went on")
            )
        case .failure(var error):
            error.message =
                error.mayHaveRun
                ? "commit: the connection was lost before the answer, so its outcome is unknown"
                : "commit: refused"
            return error.isTransactionConflict && !error.mayHaveRun ? .conflict(error) : .failed(error)
        }
    }

    /// Not cancelled with the caller's task: the statement ends the transaction either way, soon.
    private func end(_ statement: String) async -> Result<PostgresConnection.Reply, PostgresError> {
        await connection.call(
            PostgresConnection.Call(queries: [], prelude: statement, isCancellable: false)
        )
    }
}
