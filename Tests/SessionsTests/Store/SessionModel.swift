import HoldfastCore

@testable import Sessions

/// What the scripts of the session store mean, for one user, in plain Swift.
struct SessionModel {
    struct Entry: Equatable {
        var created: Int64
        var seen: Int64
        var expires: Int64
        var count = 0
        var tokens: [String: Int64] = [:]
    }

    var sessions: [SessionHandle: Entry] = [:]
    var dead: Set<String> = []
    /// Others took their place; nobody has revoked their refresh tokens, so they must not come back.
    var displaced: Set<SessionHandle> = []

    mutating func expire(_ now: Int64) { sessions = sessions.filter { $0.value.expires > now } }

    /// Nil when refused; else the sessions that ended.
    mutating func create(_ new: SessionStore.NewSession, now: Int64) -> Set<SessionHandle>? {
        expire(now)
        let ttl = new.ttl.milliseconds
        if new.revives, displaced.contains(new.handle) { return nil }
        if new.revives, var alive = sessions[new.handle] {
            alive.expires = max(alive.expires, now + ttl)
            sessions[new.handle] = alive
            note(new.token, new.handle, now)
            return []
        }
        let others = sessions.keys.filter { $0 != new.replaced && $0 != new.handle }
        if !others.isEmpty, new.policy == .reject || (new.policy == .replace && new.revives) { return nil }
        var leaving = Set([new.replaced].compactMap { $0 })
        if new.policy == .replace {
            leaving.formUnion(others)
        } else if new.maxSessions > 0, others.count >= new.maxSessions {
            let byAge = others.sorted {
                (sessions[$0]?.created ?? 0, $0.rawValue) < (sessions[$1]?.created ?? 0, $1.rawValue)
            }
            leaving.formUnion(byAge.prefix(others.count - new.maxSessions + 1))
        }
        for handle in leaving { end(handle, now) }
        displaced.formUnion(leaving.filter { $0 != new.replaced })
        sessions[new.handle] = Entry(
            created: new.createdAt?.millisecondsSinceEpoch ?? now,
            seen: now,
            expires: now + ttl
        )
        note(new.token, new.handle, now)
        return leaving
    }

    private mutating func note(_ token: IssuedToken?, _ handle: SessionHandle, _ now: Int64) {
        guard let token, var entry = sessions[handle] else { return }
        entry.tokens = entry.tokens.filter { $0.value > now }
        entry.tokens[token.id] = token.expiresAt.millisecondsSinceEpoch
        sessions[handle] = entry
    }

    mutating func end(_ handle: SessionHandle, _ now: Int64) {
        for (token, ends) in sessions.removeValue(forKey: handle)?.tokens ?? [:] where ends > now { dead.insert(token) }
    }

    enum Touch: Equatable { case alive(Entry), gone, deadToken }

    mutating func touch(
        _ handle: SessionHandle,
        token: String,
        ttl: Int64,
        threshold: Int64,
        accesses: Int,
        now: Int64
    ) -> Touch {
        guard var entry = sessions[handle] else { return .gone }
        if dead.contains(token) { return .deadToken }
        if entry.expires <= now { return .gone }
        if entry.expires - now < threshold, now + ttl > entry.expires { entry.expires = now + ttl }
        if accesses > 0, now - entry.seen >= 5_000 || entry.count == 0 {
            entry.seen = now
            entry.count += accesses
        }
        sessions[handle] = entry
        return .alive(entry)
    }
}
