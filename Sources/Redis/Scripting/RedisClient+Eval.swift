extension RedisClient {
    /// Runs a script and returns its reply.
    ///
    /// - Throws: ``RedisError``; an error that the script raised is ``RedisError/Code/server``.
    package func eval(
        _ script: RedisScript,
        keys: [String],
        arguments: [RedisArgument] = [],
        timeout: Duration? = nil
    ) async throws(RedisError) -> RESPValue {
        try await eval(RedisScriptCall(script, keys: keys, arguments: arguments), timeout: timeout)
    }

    /// Makes the call and returns its reply.
    package func eval(_ call: RedisScriptCall, timeout: Duration? = nil) async throws(RedisError) -> RESPValue {
        let reply = try await eval([call], timeout: timeout)[0]
        if let failure = reply.failure { throw failure }
        return reply
    }

    /// Runs several scripts as one pipeline on one connection; the replies come in the order of the calls.
    ///
    /// Error replies are returned as values. Redis forgets its scripts when it restarts or at `SCRIPT FLUSH`: calls
    /// answered `NOSCRIPT` did nothing and are sent again with their source, after the others of the pipeline have run.
    package func eval(
        _ calls: [RedisScriptCall],
        timeout: Duration? = nil
    ) async throws(RedisError) -> [RESPValue] {
        let start = ContinuousClock.now
        let timeout = timeout ?? configuration.commandTimeout
        var replies = try await send(calls.map(\.byDigest), timeout: timeout)
        let unknown = replies.indices.filter { replies[$0].failure?.serverError?.kind == .noScript }
        guard !unknown.isEmpty else { return replies }
        // One deadline for both rounds.
        let rest = timeout - start.duration(to: .now)
        let sources = unknown.map { calls[$0].bySource }
        let again = try await sendSources(sources, timeout: rest, othersRan: unknown.count < calls.count)
        for (index, reply) in zip(unknown, again) { replies[index] = reply }
        return replies
    }

    /// A failure of the second round is a failure of the whole pipeline, part of which has run already.
    private func sendSources(
        _ commands: [RedisCommand],
        timeout: Duration,
        othersRan: Bool
    ) async throws(RedisError) -> [RESPValue] {
        do {
            return try await send(commands, timeout: timeout)
        } catch {
            throw othersRan ? error.with(mayHaveRun: true) : error
        }
    }
}
