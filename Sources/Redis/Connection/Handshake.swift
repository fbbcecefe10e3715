/// Signs in on a fresh connection: which commands to send, and what their replies mean.
///
/// All commands go out at once. The last is `PING`, which a server that is still loading its data, or is a replica without
/// its primary, answers with an error: such a connection is not yet of use.
struct Handshake: Sendable {
    enum Step: Sendable {
        case waiting
        case done
        case failed(RedisError)
    }

    private enum Part: Sendable {
        case signIn, select, name, ping
    }

    let commands: [RedisCommand]
    private let parts: [Part]
    private var answered = 0

    init(_ configuration: RedisConfiguration) {
        var commands: [RedisCommand] = []
        var parts: [Part] = []
        if let password = configuration.password {
            let words = [configuration.user, password].compactMap { $0 }.map { RedisArgument($0) }
            commands.append(RedisCommand("AUTH", arguments: words))
            parts.append(.signIn)
        }
        if configuration.database != 0 {
            commands.append(RedisCommand("SELECT", RedisArgument(configuration.database)))
            parts.append(.select)
        }
        if let name = configuration.clientName {
            commands.append(RedisCommand("CLIENT", "SETNAME", RedisArgument(name)))
            parts.append(.name)
        }
        commands.append(RedisCommand("PING"))
        parts.append(.ping)
        self.commands = commands
        self.parts = parts
    }

    mutating func receive(_ reply: RESPValue) -> Step {
        let part = parts[answered]
        answered += 1
        if let failure = failure(part, reply.failure?.serverError) { return .failed(failure) }
        return answered == parts.count ? .done : .waiting
    }

    private func failure(_ part: Part, _ error: RedisServerError?) -> RedisError? {
        guard let error else { return nil }
        if error.isTransient {
            return RedisError(.connection, "Redis is not ready: \(error.prefix)", serverError: error)
        }
        switch (part, error.kind) {
        case (.signIn, _):
            return refused("Redis refused the user or the password of REDIS_URL (\(error.prefix))", error)
        case (.ping, .noAuth):
            return refused("Redis asks for a password and REDIS_URL has none", error)
        case (.select, .noAuth), (.name, _), (.ping, _):
            // A user may lack the right to CLIENT or PING and still have all that its commands need.
            return nil
        case (.select, _):
            return refused("Redis refused the database number of REDIS_URL (\(error.prefix))", error)
        }
    }

    private func refused(_ message: String, _ error: RedisServerError) -> RedisError {
        RedisError(.authentication, message, serverError: error)
    }
}
