/// What went wrong between us and Redis.
///
/// `description` is safe to log anywhere: it never holds a command's arguments or a server's text, which may quote them.
/// `debugDescription` adds the server's text and the underlying error.
package struct RedisError: Error, Sendable {
    package enum Code: Sendable, Equatable {
        /// The address or another setting makes no sense. Nothing was sent.
        case invalidConfiguration
        /// The request breaks a bound of ours, such as too many commands in one pipeline. Nothing was sent.
        case invalidRequest
        /// The connection could not be made, or was lost with the command on its way.
        case connection
        /// No connection had room for the command before its deadline.
        case unavailable
        /// Too many commands wait already.
        case overloaded
        /// Redis did not answer before the command's deadline.
        case timeout
        /// The calling task was cancelled.
        case cancelled
        /// The client is closing or closed.
        case shutDown
        /// Redis refused the user or the password. Repeating it does not help until an operator acts.
        case authentication
        /// Redis answered with an error; ``RedisError/serverError`` says which.
        case server
        /// Redis sent bytes that are no RESP reply, or one beyond our bounds. The connection is closed.
        case protocolViolation
        /// The reply is sound, but of another shape than the caller's command can give.
        case unexpectedReply
    }

    package let code: Code
    package let message: String
    package let underlying: (any Error)?
    /// The server's answer when `code` is ``Code/server`` or ``Code/authentication``.
    package let serverError: RedisServerError?
    /// False when it is certain that the command had no effect; true when nobody here can know.
    package let mayHaveRun: Bool
    package let file: String
    package let line: Int

    package init(
        _ code: Code,
        _ message: String,
        mayHaveRun: Bool = false,
        underlying: (any Error)? = nil,
        serverError: RedisServerError? = nil,
        file: String = #fileID,
        line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.mayHaveRun = mayHaveRun
        self.underlying = underlying
        self.serverError = serverError
        self.file = file
        self.line = line
    }

    /// An error reply to a command, classified by its first word.
    package init(reply text: String, file: String = #fileID, line: Int = #line) {
        let serverError = RedisServerError(text)
        self.init(
            .server,
            "Redis answered \(serverError.prefix)",
            mayHaveRun: serverError.mayHaveRun,
            serverError: serverError,
            file: file,
            line: line
        )
    }

    /// Whether the same command may succeed a little later. Look at ``mayHaveRun`` before repeating what must not run twice.
    package var isRetryable: Bool {
        switch code {
        case .connection, .unavailable, .overloaded, .timeout, .protocolViolation: true
        case .server: serverError?.isTransient ?? false
        case .invalidConfiguration, .invalidRequest, .cancelled, .shutDown, .authentication, .unexpectedReply: false
        }
    }

    /// The same error for another command of the same pipeline or connection.
    func with(mayHaveRun: Bool) -> RedisError {
        RedisError(
            code,
            message,
            mayHaveRun: mayHaveRun,
            underlying: underlying,
            serverError: serverError,
            file: file,
            line: line
        )
    }
}

extension RedisError: CustomStringConvertible, CustomDebugStringConvertible {
    package var description: String {
        "redis: \(message)"
    }

    package var debugDescription: String {
        var text = "redis: \(message) [\(code), may have run: \(mayHaveRun), \(file):\(line)]"
        if let serverError { text += " server: \(serverError.text)" }
        if let underlying { text += " underlying: \(underlying)" }
        return text
    }
}

/// An error reply of Redis: its first word says what to do about it.
package struct RedisServerError: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case loading = "LOADING"
        case readOnly = "READONLY"
        case masterDown = "MASTERDOWN"
        case tryAgain = "TRYAGAIN"
        case outOfMemory = "OOM"
        case busy = "BUSY"
        case noReplicas = "NOREPLICAS"
        case clusterDown = "CLUSTERDOWN"
        case moved = "MOVED"
        case ask = "ASK"
        case crossSlot = "CROSSSLOT"
        case noScript = "NOSCRIPT"
        case noAuth = "NOAUTH"
        case wrongPassword = "WRONGPASS"
        case noPermission = "NOPERM"
        case wrongType = "WRONGTYPE"
        case misconfigured = "MISCONF"
        case unblocked = "UNBLOCKED"
        /// A script met a key that has moved already, while its slot moves. It is said with the code `ERR`.
        case movingKey = "MOVING"
        case other = ""
    }

    package let kind: Kind
    /// The first word, in capitals by convention, such as `WRONGTYPE` or `ERR`; at most 32 characters.
    package let prefix: String
    /// Everything the server said. It may quote arguments: never log it above debug.
    package let text: String

    package init(_ text: String) {
        let word = text.prefix { $0 != " " }.prefix(32)
        // A script may raise any text at all. Only a word of capitals is a code; the rest might be somebody's data.
        let isCode =
            !word.isEmpty && word.utf8.allSatisfy { (65...90).contains($0) || (48...57).contains($0) || $0 == 95 }
        prefix = isCode ? String(word) : "an error"
        let isMoving = prefix == "ERR" && text.contains("access a non local key in a cluster node")
        kind = isMoving ? .movingKey : Kind(rawValue: prefix) ?? .other
        self.text = text
    }

    /// Redis may answer otherwise a little later, without anybody's help.
    package var isTransient: Bool {
        switch kind {
        case .loading, .readOnly, .masterDown, .tryAgain, .outOfMemory, .busy, .noReplicas, .clusterDown, .moved, .ask,
            .misconfigured, .unblocked, .movingKey:
            true
        case .crossSlot, .noScript, .noAuth, .wrongPassword, .noPermission, .wrongType, .other: false
        }
    }

    /// A script may fail after its first writes, and those stay; only refusals made before any write are certain.
    package var mayHaveRun: Bool {
        switch kind {
        case .wrongType, .other, .unblocked, .noPermission, .noReplicas, .crossSlot, .movingKey: true
        case .loading, .readOnly, .masterDown, .tryAgain, .outOfMemory, .busy, .clusterDown, .moved, .ask, .noScript,
            .noAuth, .wrongPassword, .misconfigured:
            false
        }
    }

    /// The server cannot serve this connection at all, whatever the command: another attempt needs another connection.
    var makesConnectionUseless: Bool {
        kind == .readOnly || kind == .masterDown
    }
}
