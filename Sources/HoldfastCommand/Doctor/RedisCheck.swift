import Gateway
import HoldfastCore
import Redis

/// Redis: reachable, new enough, losing nothing by itself, and the user able to do what it must and no more.
struct RedisCheck: Sendable {
    let redis: RedisClient
    let settings: Settings

    func findings() async -> [Finding] {
        do {
            let before = ServerTime.now.millisecondsSinceEpoch
            let time = try await redis.send(RedisCommand("TIME")).array ?? []
            let after = ServerTime.now.millisecondsSinceEpoch
            let facts = try await facts()
            var findings = [server(facts), eviction(facts), persistence(facts)]
            if time.count == 2, let seconds = time[0].int, let microseconds = time[1].int {
                let storeMs = Int64(seconds) * 1_000 + Int64(microseconds) / 1_000
                findings.append(ClockCheck.finding("Redis", storeMs: storeMs, before: before, after: after))
            }
            findings.append(await rights())
            return findings
        } catch {
            return [.failed("Redis", "\(error)", mend: "start it, and check REDIS_URL and the way there")]
        }
    }

    /// `INFO`, line by line.
    private func facts() async throws -> [String: String] {
        var facts: [String: String] = [:]
        for section in ["server", "memory", "persistence", "replication"] {
            let text = try await redis.send(RedisCommand("INFO", RedisArgument(section))).string ?? ""
            for line in text.split(whereSeparator: \.isNewline) {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { facts[String(parts[0])] = String(parts[1]) }
            }
        }
        return facts
    }

    private func server(_ facts: [String: String]) -> Finding {
        let version = facts["redis_version"] ?? "unknown"
        guard let major = version.split(separator: ".").first.flatMap({ Int($0) }), major >= 7 else {
            return .failed("Redis", "version \(version)", mend: "use version 7 or later")
        }
        if facts["role"] == "slave" {
            return .failed("Redis", "is a replica and takes no writes", mend: "point REDIS_URL at the primary")
        }
        return .ok("Redis", "version \(version)")
    }

    private func eviction(_ facts: [String: String]) -> Finding {
        let policy = facts["maxmemory_policy"] ?? "unknown"
        guard policy == "noeviction" else {
            return .failed(
                "Redis memory",
                "evicts keys when full (\(policy)): places and holds would vanish",
                mend: "set maxmemory-policy noeviction"
            )
        }
        return .ok("Redis memory", "noeviction")
    }

    private func persistence(_ facts: [String: String]) -> Finding {
        guard facts["aof_enabled"] == "1" else {
            let detail = "no append-only file: a restart loses holds and signs everybody out"
            let mend = "set appendonly yes"
            return settings.environment == .production
                ? .failed("Redis persistence", detail, mend: mend) : .warning("Redis persistence", detail, mend: mend)
        }
        guard facts["aof_last_write_status"] ?? "ok" == "ok" else {
            return .failed("Redis persistence", "the append-only file cannot be written", mend: "look at Redis' disk")
        }
        return .ok("Redis persistence", "append-only file")
    }

    /// Does once, on a key of its own, what the service does all the time.
    private func rights() async -> Finding {
        let name = "hf:{doctor:\(EventID())}"
        let (key, sorted, hash) = (RedisArgument(name), RedisArgument(name + ":z"), RedisArgument(name + ":h"))
        let needed: [RedisCommand] = [
            RedisCommand("EVAL", "return redis.call('SET', KEYS[1], '1', 'PX', 5000)", "1", key),
            RedisCommand("DEL", key),
            RedisCommand("XADD", key, "MAXLEN", "~", "10", "*", "a", "b"),
            RedisCommand("XTRIM", key, "MINID", "9"),
            RedisCommand("ZADD", sorted, "1", "a"),
            RedisCommand("HSET", hash, "a", "b"),
            RedisCommand("PUBLISH", key, "checkup"),
            RedisCommand("DEL", key, sorted, hash),
        ]
        do {
            for (command, reply) in zip(needed, try await redis.send(needed)) {
                guard let failure = reply.failure else { continue }
                return .failed(
                    "Redis user",
                    "may not do what the service does (\(command.name)): \(failure)",
                    mend: "use the user of Deploy/redis/users.acl"
                )
            }
            // Harmless to ask; whoever may ask is no user of ours. In small letters: the service itself never sends it.
            let config = try await redis.send([RedisCommand("config", "get", "appendonly")])
            guard config.first?.failure == nil else { return .ok("Redis user", "may do what it must and no more") }
            let mend = "use the user of Deploy/redis/users.acl"
            let detail = "may do more than it needs, as change Redis' configuration"
            return settings.environment == .production
                ? .failed("Redis user", detail, mend: mend) : .warning("Redis user", detail, mend: mend)
        } catch {
            return .failed("Redis user", "\(error)", mend: "check REDIS_URL")
        }
    }
}
