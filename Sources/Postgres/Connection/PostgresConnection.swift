package import Logging
import Synchronization

/// One connection to PostgreSQL: an actor on a thread of its own, on which libpq may wait.
///
/// Calls run one after the other. A call whose task is cancelled, or whose deadline passes, cancels its statement at
/// the server and returns at the latest ``PostgresConfiguration/cancelGrace`` after that, even if the server is
/// stopped; the connection is then closed.
package actor PostgresConnection {
    private nonisolated let executor: PostgresThread
    private nonisolated let wakeup: Wakeup
    nonisolated let configuration: PostgresConfiguration
    private let logger: Logger
    private var handle: LibPQConnection
    private var cache: StatementCache
    /// Written on the connection's thread after every call, read by the pool when a lease ends.
    private nonisolated let clean = Atomic<Bool>(false)

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// Whether the connection is open, between transactions, and so fit for another caller.
    package nonisolated var isReusable: Bool { clean.load(ordering: .acquiring) }

    private init(configuration: PostgresConfiguration, logger: Logger) throws(PostgresError) {
        let wakeup = try Wakeup()
        executor = try PostgresThread()
        self.wakeup = wakeup
        self.configuration = configuration
        self.logger = logger
        handle = LibPQConnection(wakeup: wakeup)
        cache = StatementCache(capacity: configuration.statementCacheSize)
    }

    deinit {
        executor.stop()
    }

    /// Opens a connection outside any pool; it closes when the last reference to it goes.
    package static func connect(
        configuration: PostgresConfiguration,
        logger: Logger
    ) async throws(PostgresError) -> PostgresConnection {
        let connection = try PostgresConnection(configuration: configuration, logger: logger)
        try await connection.open()
        return connection
    }

    /// The server's process that serves this connection, for `pg_terminate_backend` and its like.
    package var backendProcessID: Int32 { handle.backendProcessID }

    package var isInTransaction: Bool { handle.isInTransaction }

    // MARK: Calls

    /// Runs a statement, prepared once per connection and text.
    package nonisolated func query(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let results = try await pipeline([query])
        return results[0]
    }

    /// Sends the statements in one go. Outside a transaction they form one of their own: all or none.
    package nonisolated func pipeline(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult] {
        try await call(Call(queries: queries)).get().results
    }

    /// Runs a text of several statements without parameters, as a migration has them.
    package nonisolated func script(_ sql: String, timeout: Duration? = nil) async throws(PostgresError) {
        let number = wakeup.newOperation()
        let result = await withTaskCancellationHandler {
            await performScript(sql, operation(number, isCancellable: true, timeout: timeout))
        } onCancel: {
            wakeup.cancel(number)
        }
        wakeup.end(number)
        try result.get()
    }

    /// Asks the server for nothing, to see whether it is there.
    nonisolated func isAlive() async -> Bool {
        let call = Call(queries: [], prelude: "SELECT 1", timeout: .seconds(2))
        guard case .success = await self.call(call) else { return false }
        return isReusable
    }

    /// Closes the socket. Later calls fail with code `connection`.
    package func close() {
        handle.finish()
        clean.store(false, ordering: .releasing)
    }

    /// What one call sends.
    struct Call: Sendable {
        var queries: [PostgresQuery]
        /// A statement without parameters, sent in front of the others: `BEGIN`.
        var prelude: String?
        var isCancellable = true
        var timeout: Duration?
    }

    struct Reply: Sendable {
        var results: [PostgresResult]
        var prelude: PostgresResult?
    }

    /// Returns its error as a value because `withTaskCancellationHandler` does not keep the type of what is thrown.
    nonisolated func call(_ call: Call) async -> Result<Reply, PostgresError> {
        let number = wakeup.newOperation()
        let result = await withTaskCancellationHandler {
            await perform(call, operation(number, isCancellable: call.isCancellable, timeout: call.timeout))
        } onCancel: {
            if call.isCancellable { wakeup.cancel(number) }
        }
        wakeup.end(number)
        return result
    }

    private nonisolated func operation(
        _ number: UInt64,
        isCancellable: Bool,
        timeout: Duration?
    ) -> LibPQConnection.Operation {
        LibPQConnection.Operation(
            number: number,
            deadline: .now + (timeout ?? configuration.statementTimeout),
            grace: configuration.cancelGrace,
            isCancellable: isCancellable
        )
    }

    // MARK: On the connection's thread

    private func open() throws(PostgresError) {
        let opening = operation(0, isCancellable: false, timeout: configuration.connectTimeout)
        try handle.open(configuration, operation: opening)
        // Results are read by rules that these settings fix. The time limits end what a vanished client began.
        let limit = configuration.statementTimeout.wholeMilliseconds
        var settings = [
            "SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, YMD'", "SET IntervalStyle = 'iso_8601'",
            "SET bytea_output = 'hex'", "SET standard_conforming_strings = on", "SET statement_timeout = \(limit)",
            "SET idle_in_transaction_session_timeout = \(limit)",
        ]
        if handle.serverVersion >= 140_000 { settings.append("SET client_connection_check_interval = '2s'") }
        if case .failed(let failure) = try handle.runScript(settings.joined(separator: ";"), operation: opening) {
            throw failure.error("connect", statement: nil)
        }
        clean.store(handle.isIdle, ordering: .releasing)
        logger.debug("postgres connection opened")
    }

    private func perform(
        _ call: Call,
        _ operation: LibPQConnection.Operation
    ) -> Result<Reply, PostgresError> {
        defer { clean.store(handle.isIdle, ordering: .releasing) }
        do throws(PostgresError) {
            try check(call, operation)
            return .success(try send(call, operation, isRepeatable: handle.isIdle))
        } catch {
            if error.mayHaveRun || !handle.isOpen { handle.finish() }
            logger.trace("postgres call failed", metadata: ["postgres.error": "\(error)"])
            return .failure(error)
        }
    }

    /// - Parameter isRepeatable: whether a statement whose cached plan a migration made useless may be prepared and
    ///   sent again. The server refuses such a plan before it runs, and outside a transaction nothing else is lost.
    private func send(
        _ call: Call,
        _ operation: LibPQConnection.Operation,
        isRepeatable: Bool
    ) throws(PostgresError) -> Reply {
        let plan = StatementPlan(call, cache: &cache, isInTransaction: !handle.isIdle)
        let outcomes = try handle.run(plan.steps, operation: operation)
        plan.record(outcomes, cache: &cache)
        if isRepeatable, handle.isIdle, plan.forgetStale(outcomes, cache: &cache) {
            return try send(call, operation, isRepeatable: false)
        }
        return try plan.reply(outcomes, cache: &cache)
    }

    private func performScript(
        _ sql: String,
        _ operation: LibPQConnection.Operation
    ) -> Result<Void, PostgresError> {
        defer { clean.store(handle.isIdle, ordering: .releasing) }
        do throws(PostgresError) {
            guard !sql.utf8.contains(0) else { throw PostgresError(.encoding, "script: the text holds a zero byte") }
            try check(Call(queries: []), operation)
            if case .failed(let failure) = try handle.runScript(sql, operation: operation) {
                throw failure.error("script", statement: nil)
            }
            return .success(())
        } catch {
            if error.mayHaveRun || !handle.isOpen { handle.finish() }
            return .failure(error)
        }
    }

    /// What can be refused before anything is sent; nothing has run then.
    private func check(_ call: Call, _ operation: LibPQConnection.Operation) throws(PostgresError) {
        if operation.isCancellable, wakeup.isCancelled(operation.number) {
            throw PostgresError(.cancelled, "query: cancelled with its caller, before it was sent")
        }
        for query in call.queries {
            guard query.parameters.count <= 65_535 else {
                throw PostgresError(.encoding, "query: \(query.parameters.count) parameters, at most 65535 are allowed")
            }
            for (index, text) in query.parameters.enumerated() where text?.utf8.contains(0) == true {
                throw PostgresError(.encoding, "query: parameter \(index + 1) holds a zero byte, which text cannot")
            }
            guard !query.sql.utf8.contains(0) else {
                throw PostgresError(.encoding, "query: the statement holds a zero byte")
            }
        }
        if handle.hasBeenLost() {
            handle.finish()
            throw PostgresError(.connection, "query: the server had closed the connection", isRetryable: true)
        }
    }
}
