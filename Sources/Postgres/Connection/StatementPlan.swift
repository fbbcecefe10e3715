/// The steps of one pipeline, and how its outcomes become results.
struct StatementPlan {
    private enum Role {
        case deallocate(name: String)
        case prelude
        case prepare(sql: String, name: String)
        case query(sql: String, wasCached: Bool)
    }

    private(set) var steps: [LibPQConnection.Step] = []
    private var roles: [Role] = []

    init(_ call: PostgresConnection.Call, cache: inout StatementCache, isInTransaction: Bool) {
        // Not in a transaction: in a failed one the server would refuse, and skip what follows.
        if !isInTransaction {
            for name in cache.garbage { add(.direct(sql: "DEALLOCATE \(name)"), .deallocate(name: name)) }
        }
        if let prelude = call.prelude { add(.direct(sql: prelude), .prelude) }
        var prepared: [String: String] = [:]
        for query in call.queries {
            let name: String
            var wasCached = true
            if let known = prepared[query.sql] ?? cache.name(of: query.sql) {
                name = known
            } else {
                name = cache.newName()
                wasCached = false
                prepared[query.sql] = name
                add(.prepare(name: name, sql: query.sql), .prepare(sql: query.sql, name: name))
            }
            add(.execute(name: name, parameters: query.parameters), .query(sql: query.sql, wasCached: wasCached))
        }
    }

    private mutating func add(_ step: LibPQConnection.Step, _ role: Role) {
        steps.append(step)
        roles.append(role)
    }

    /// Writes down what the server prepared and deallocated, whatever became of the other steps.
    func record(_ outcomes: [LibPQConnection.Outcome], cache: inout StatementCache) {
        for (role, outcome) in zip(roles, outcomes) {
            switch (role, outcome) {
            case (.deallocate(let name), .result), (.deallocate(let name), .failed): cache.deallocated(name)
            case (.prepare(let sql, let name), .result): cache.insert(sql, name: name)
            default: break
            }
        }
    }

    /// Forgets a cached statement that the server can no longer run. True if there was one.
    func forgetStale(_ outcomes: [LibPQConnection.Outcome], cache: inout StatementCache) -> Bool {
        for case (.query(let sql, true), .failed(let failure)) in zip(roles, outcomes)
        where failure.invalidatesStatement {
            cache.remove(sql)
            return true
        }
        return false
    }

    /// - Throws: ``PostgresError`` for the first step that failed.
    func reply(
        _ outcomes: [LibPQConnection.Outcome],
        cache: inout StatementCache
    ) throws(PostgresError) -> PostgresConnection.Reply {
        var reply = PostgresConnection.Reply(results: [])
        for (role, outcome) in zip(roles, outcomes) {
            switch (role, outcome) {
            case (.deallocate, .result), (.prepare, .result): break
            case (.prelude, .result(let result)): reply.prelude = result
            case (.query, .result(let result)): reply.results.append(result)
            case (.deallocate, .failed(let failure)):
                throw failure.error("deallocate", statement: nil)
            case (.prelude, .failed(let failure)):
                throw failure.error("query", statement: nil)
            case (.prepare(let sql, _), .failed(let failure)):
                throw failure.error("query", statement: sql)
            case (.query(let sql, _), .failed(let failure)):
                if failure.invalidatesStatement { cache.remove(sql) }
                throw failure.error("query", statement: sql)
            case (_, .skipped):
                throw PostgresError(.transaction, "query: skipped by the server")
            }
        }
        return reply
    }
}
