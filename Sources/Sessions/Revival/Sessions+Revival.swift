import HoldfastCore
import Redis

extension Sessions {
    /// Whether the sessions in Redis count: not while it has to be seen which of them have ended.
    package var areCompared: Bool { history.uncompared == nil }

    /// Ends every session that lives in Redis and has ended by the books.
    ///
    /// - Returns: how many there were.
    /// - Bounds: pages of 500; what ended within a session's life and two hours more, for clocks that differ by less, and
    ///   whatever waits for a refresh to begin another session.
    func endAgain() async throws -> Int {
        let since = configuration.sessionTTL + .seconds(7_200)
        return try await endAgain { try await self.families.ended(since: since, after: $0) }
            + endAgain { try await self.families.rotating(after: $0) }
    }

    private func endAgain(
        _ page: (_ last: RefreshFamilies.Ended?) async throws -> [RefreshFamilies.Ended]
    ) async throws -> Int {
        var count = 0
        var last: RefreshFamilies.Ended?
        repeat {
            let ended = try await page(last)
            count += try await endAgain(ended)
            last = ended.last
        } while last != nil
        return count
    }

    private func endAgain(_ page: [RefreshFamilies.Ended]) async throws -> Int {
        let lives = try await store.timeLeft(of: page.map { ($0.user, $0.handle) })
        let revived = zip(page, lives).filter { $0.1 != nil }.map(\.0)
        for family in revived {
            let ended = try await store.end([family.handle], of: family.user, reason: .sessionEnded)
            await settle(ended.sessions, of: family.user)
        }
        return revived.count
    }
}
