import CLibPQ
import Glibc

/// Waits for the results of what one operation sent, and cancels it when its caller or its deadline says so.
///
/// Cancelling has two stages. First a ``CancelRequest`` goes round the connection and the statement normally ends within
/// milliseconds, with the connection as good as before. If it does not end within the grace, nobody answers at the
/// other end: the wait ends with an error and the connection is given up.
@safe
struct ResultWait {
    private enum Interruption {
        case none
        case requested(PostgresError.Code, CancelRequest?, giveUpAt: ContinuousClock.Instant)
    }

    private let connection: OpaquePointer
    private let wakeup: Wakeup
    private let operation: LibPQConnection.Operation
    private var interruption = Interruption.none

    init(connection: OpaquePointer, wakeup: Wakeup, operation: LibPQConnection.Operation) {
        unsafe self.connection = connection
        self.wakeup = wakeup
        self.operation = operation
    }

    /// The outcome of one step of a pipeline: a result or two, then the null pointer that ends the step.
    mutating func stepOutcome() throws(PostgresError) -> LibPQConnection.Outcome {
        var outcome: LibPQConnection.Outcome?
        while true {
            guard let result = unsafe try nextResult() else {
                guard let outcome else { throw lost() }
                return outcome
            }
            let next = unsafe Self.outcome(of: result)
            if case .failed(let failure) = next, failure.endsConnection { throw lost(failure) }
            outcome = outcome ?? next
        }
    }

    /// The mark that ends the pipeline; no null pointer follows it.
    mutating func sync() throws(PostgresError) {
        guard let result = unsafe try nextResult() else { throw lost() }
        defer { unsafe PQclear(result) }
        guard unsafe PQresultStatus(result) == PGRES_PIPELINE_SYNC else { throw lost() }
    }

    mutating func scriptOutcome() throws(PostgresError) -> LibPQConnection.Outcome {
        var last = LibPQConnection.Outcome.skipped
        while let result = unsafe try nextResult() {
            let next = unsafe Self.outcome(of: result)
            if case .failed(let failure) = next, failure.endsConnection { throw lost(failure) }
            if case .failed = last { continue }
            last = next
        }
        return last
    }

    /// A cancel request that arrives late would hit the next statement, so wait until the server has it.
    mutating func settle() throws(PostgresError) {
        guard case .requested(_, let request?, let giveUpAt) = interruption else { return }
        while !request.isDone {
            guard LibPQConnection.wait(-1, events: 0, wakeup: wakeup, until: giveUpAt) else { throw abandoned() }
            wakeup.drain()
        }
    }

    // MARK: Reading

    private mutating func nextResult() throws(PostgresError) -> OpaquePointer? {
        while true {
            let unsent = unsafe PQflush(connection)
            guard unsent >= 0 else { throw lost() }
            if unsafe PQisBusy(connection) == 0 { return unsafe PQgetResult(connection) }
            try interruptIfDue()
            let events = Int16(POLLIN) | (unsent == 1 ? Int16(POLLOUT) : 0)
            let ready = unsafe LibPQConnection.wait(
                PQsocket(connection),
                events: events,
                wakeup: wakeup,
                until: nextDeadline
            )
            wakeup.drain()
            if ready, unsafe PQconsumeInput(connection) == 0 { throw lost() }
        }
    }

    private var nextDeadline: ContinuousClock.Instant {
        switch interruption {
        case .none: operation.deadline
        case .requested(_, _, let giveUpAt): giveUpAt
        }
    }

    private mutating func interruptIfDue() throws(PostgresError) {
        let now = ContinuousClock.now
        switch interruption {
        case .none:
            let code: PostgresError.Code
            if operation.isCancellable, wakeup.isCancelled(operation.number) {
                code = .cancelled
            } else if operation.deadline <= now {
                code = .statementTimeout
            } else {
                return
            }
            let request = unsafe CancelRequest.send(for: connection, wakeup: wakeup)
            interruption = .requested(code, request, giveUpAt: now + operation.grace)
        case .requested(_, _, let giveUpAt):
            if giveUpAt <= now { throw abandoned() }
        }
    }

    // MARK: Outcomes

    private static func outcome(of result: OpaquePointer) -> LibPQConnection.Outcome {
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
            return .result(PostgresResult(storage: unsafe ResultStorage(owning: result)))
        case PGRES_PIPELINE_ABORTED:
            unsafe PQclear(result)
            return .skipped
        default:
            let failure = unsafe ServerFailure(result)
            unsafe PQclear(result)
            return .failed(failure)
        }
    }

    /// Says why a cancelled statement was cancelled: the server only knows that somebody asked.
    func explain(_ outcome: LibPQConnection.Outcome) -> LibPQConnection.Outcome {
        guard case .failed(var failure) = outcome, failure.sqlState == ServerFailure.queryCancelled else {
            return outcome
        }
        switch interruption {
        case .requested(let code, _, _): failure.cancelledBecause = code
        // Nobody here asked for it: the server's own `statement_timeout`, which equals ours, was first.
        case .none where operation.deadline - .now < operation.grace: failure.cancelledBecause = .statementTimeout
        case .none: break
        }
        return .failed(failure)
    }

    private func abandoned() -> PostgresError {
        guard case .requested(let code, _, _) = interruption else { return lost() }
        return PostgresError(
            code,
            "query: no answer, not even to a cancel request; the connection is given up",
            isRetryable: code != .cancelled,
            mayHaveRun: true
        )
    }

    /// The connection ended before the answer. What the server said last is taken along if it said anything.
    func lost(_ failure: ServerFailure? = nil) -> PostgresError {
        var failure = failure
        // After the socket is gone libpq returns what it still has and does not wait; two results are the most.
        if failure == nil, unsafe PQstatus(connection) == CONNECTION_BAD {
            for _ in 0..<4 {
                guard let result = unsafe PQgetResult(connection) else { continue }
                let found = unsafe ServerFailure(result)
                unsafe PQclear(result)
                if found.sqlState != nil { failure = found }
            }
        }
        let detail = unsafe failure?.detail ?? String(cString: PQerrorMessage(connection))
        return PostgresError(
            .connection,
            "query: the connection was lost",
            sqlState: failure?.sqlState,
            isRetryable: true,
            mayHaveRun: true,
            detail: detail
        )
    }
}
