import CLibPQ
import Glibc

/// Owns one `PGconn` and speaks to it without ever blocking in libpq: it sends, then waits in `poll` on the socket, on
/// the connection's ``Wakeup`` and for a deadline.
///
/// Used by one thread, the one of the actor that owns it.
///
/// - Source: PostgreSQL 15 manual, 34.4 "Asynchronous Command Processing" and 34.5 "Pipeline Mode".
@safe
struct LibPQConnection: ~Copyable {
    /// Nil after ``finish()``.
    private var pointer: OpaquePointer?
    let wakeup: Wakeup

    /// One call, seen from the connection.
    struct Operation {
        let number: UInt64
        let deadline: ContinuousClock.Instant
        /// How long the statement may take to end after it was cancelled.
        let grace: Duration
        /// Commit and rollback are not given up with the caller's task: what they decide concerns others too.
        let isCancellable: Bool
    }

    /// What is sent in one pipeline.
    enum Step {
        case prepare(name: String, sql: String)
        case execute(name: String, parameters: [String?])
        /// A statement without parameters that is not worth a name.
        case direct(sql: String)
    }

    /// What came back for one step.
    enum Outcome {
        case result(PostgresResult)
        case failed(ServerFailure)
        /// An earlier step failed, so the server did not look at this one.
        case skipped
    }

    init(wakeup: Wakeup) {
        unsafe pointer = nil
        self.wakeup = wakeup
    }

    deinit {
        // Sends a farewell without waiting, because the connection is non-blocking, and closes the socket.
        if let pointer = unsafe pointer { unsafe PQfinish(pointer) }
    }

    /// Closes the socket. Nothing is sent that could wait for the server.
    mutating func finish() {
        if let pointer = unsafe pointer { unsafe PQfinish(pointer) }
        unsafe pointer = nil
    }

    var isOpen: Bool {
        guard let pointer = unsafe pointer else { return false }
        return unsafe PQstatus(pointer) == CONNECTION_OK
    }

    /// Between transactions, with nothing under way.
    var isIdle: Bool {
        guard let pointer = unsafe pointer, isOpen else { return false }
        return unsafe PQtransactionStatus(pointer) == PQTRANS_IDLE
    }

    var isInTransaction: Bool {
        guard let pointer = unsafe pointer, isOpen else { return false }
        return unsafe PQtransactionStatus(pointer) == PQTRANS_INTRANS
    }

    var serverVersion: Int {
        guard let pointer = unsafe pointer else { return 0 }
        return unsafe Int(PQserverVersion(pointer))
    }

    var backendProcessID: Int32 {
        guard let pointer = unsafe pointer else { return 0 }
        return unsafe PQbackendPID(pointer)
    }

    /// Whether the server has closed the connection or said something nobody asked for, found without waiting.
    mutating func hasBeenLost() -> Bool {
        guard let pointer = unsafe pointer, isOpen else { return true }
        let socket = unsafe PQsocket(pointer)
        var sockets = [pollfd(fd: socket, events: Int16(POLLIN), revents: 0)]
        guard unsafe poll(&sockets, 1, 0) > 0 else { return false }
        return unsafe PQconsumeInput(pointer) == 0 || !isOpen
    }

    // MARK: Opening

    mutating func open(_ configuration: PostgresConfiguration, operation: Operation) throws(PostgresError) {
        // Earlier keywords lose against later ones: the address may change the first five and not the last two.
        let milliseconds = configuration.statementTimeout.wholeMilliseconds
        let settings: [(String, String)] = [
            ("fallback_application_name", "holdfast"),
            ("keepalives_idle", "15"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "\(milliseconds)"),
            ("dbname", configuration.url),
            ("client_encoding", "UTF8"),
        ]
        guard let started = unsafe Self.start(settings) else {
            throw PostgresError(.connection, "connect: out of memory")
        }
        unsafe pointer = started
        guard unsafe PQstatus(started) != CONNECTION_BAD else { throw unsafe connectFailed(started) }
        var wanted = Int16(POLLOUT)
        while true {
            let socket = unsafe PQsocket(started)
            let ready = Self.wait(socket, events: wanted, wakeup: nil, until: operation.deadline)
            guard ready else {
                throw PostgresError(.connection, "connect: no answer in time", isRetryable: true)
            }
            switch unsafe PQconnectPoll(started) {
            case PGRES_POLLING_OK:
                unsafe PQsetnonblocking(started, 1)
                unsafe PQsetNoticeProcessor(started, { _, _ in }, nil)
                return
            case PGRES_POLLING_READING: wanted = Int16(POLLIN)
            case PGRES_POLLING_WRITING: wanted = Int16(POLLOUT)
            default: throw unsafe connectFailed(started)
            }
        }
    }

    private static func start(_ settings: [(String, String)]) -> OpaquePointer? {
        let keywords = unsafe settings.map { unsafe strdup($0.0) }
        let values = unsafe settings.map { unsafe strdup($0.1) }
        defer { unsafe (keywords + values).forEach { unsafe free($0) } }
        let keywordPointers = unsafe keywords.map { unsafe UnsafePointer($0) } + [nil]
        let valuePointers = unsafe values.map { unsafe UnsafePointer($0) } + [nil]
        return unsafe PQconnectStartParams(keywordPointers, valuePointers, 1)
    }

    private func connectFailed(_ connection: OpaquePointer) -> PostgresError {
        let detail = unsafe String(cString: PQerrorMessage(connection))
        return PostgresError(
            .connection,
            "connect: the server refused or could not be reached",
            isRetryable: true,
            detail: detail
        )
    }

    // MARK: Statements

    /// Sends all steps at once and collects what came back, one outcome per step.
    ///
    /// - Throws: ``PostgresError`` if the connection was lost or abandoned. The caller then closes it.
    mutating func run(_ steps: [Step], operation: Operation) throws(PostgresError) -> [Outcome] {
        guard let connection = unsafe pointer, isOpen else {
            throw PostgresError(.connection, "query: the connection is closed", isRetryable: true)
        }
        var wait = unsafe ResultWait(connection: connection, wakeup: wakeup, operation: operation)
        // Entering and leaving pipeline mode changes a flag on our side and costs nothing.
        guard unsafe PQenterPipelineMode(connection) == 1 else { throw wait.lost() }
        for step in steps {
            guard unsafe Self.send(step, on: connection) else { throw wait.lost() }
        }
        guard unsafe PQpipelineSync(connection) == 1 else { throw wait.lost() }
        var outcomes: [Outcome] = []
        outcomes.reserveCapacity(steps.count)
        for _ in steps {
            outcomes.append(try wait.stepOutcome())
        }
        try wait.sync()
        guard unsafe PQexitPipelineMode(connection) == 1 else { throw wait.lost() }
        try wait.settle()
        return outcomes.map { wait.explain($0) }
    }

    /// Runs several statements in one text, as a migration has them, and returns the last outcome.
    mutating func runScript(_ sql: String, operation: Operation) throws(PostgresError) -> Outcome {
        guard let connection = unsafe pointer, isOpen else {
            throw PostgresError(.connection, "script: the connection is closed", isRetryable: true)
        }
        var wait = unsafe ResultWait(connection: connection, wakeup: wakeup, operation: operation)
        guard unsafe PQsendQuery(connection, sql) == 1 else { throw wait.lost() }
        let outcome = try wait.scriptOutcome()
        try wait.settle()
        return wait.explain(outcome)
    }

    private static func send(_ step: Step, on connection: OpaquePointer) -> Bool {
        switch step {
        case .prepare(let name, let sql):
            return unsafe PQsendPrepare(connection, name, sql, 0, nil) == 1
        case .direct(let sql):
            return unsafe PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 0) == 1
        case .execute(let name, let parameters):
            // All texts in one buffer, each ended by a zero byte, and a table of where each begins.
            var bytes: [CChar] = []
            let starts: [Int?] = parameters.map { text in
                guard let text else { return nil }
                let start = bytes.count
                bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
                bytes.append(0)
                return start
            }
            return unsafe bytes.withUnsafeBufferPointer { buffer in
                let values: [UnsafePointer<CChar>?] = unsafe starts.map { start in
                    guard let start, let base = buffer.baseAddress else { return nil }
                    return unsafe base + start
                }
                return unsafe PQsendQueryPrepared(connection, name, Int32(values.count), values, nil, nil, 0) == 1
            }
        }
    }

    // MARK: Waiting

    /// Waits for the socket, or for the wakeup if there is one. False once the deadline has passed.
    static func wait(
        _ socket: Int32,
        events: Int16,
        wakeup: Wakeup?,
        until deadline: ContinuousClock.Instant
    ) -> Bool {
        var sockets = [pollfd(fd: socket, events: events, revents: 0)]
        if let wakeup { sockets.append(pollfd(fd: wakeup.descriptor, events: Int16(POLLIN), revents: 0)) }
        while true {
            let left = (deadline - .now).wholeMilliseconds
            guard left > 0 else { return false }
            let ready = unsafe poll(&sockets, nfds_t(sockets.count), Int32(clamping: left))
            if ready > 0 { return true }
            // Zero is the deadline, looked at above; anything negative but an interruption would repeat forever.
            if ready < 0, errno != EINTR { return true }
        }
    }
}

extension Duration {
    /// Rounded up, so that waiting for it is waiting long enough.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
