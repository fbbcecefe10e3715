package import HoldfastCore
import Logging

/// A page of everybody's sessions.
package struct SessionPage: Sendable {
    package let sessions: [Session]
    /// On all pages together.
    package let total: Int
    /// Names the next page; nil on the last one.
    package let next: String?
}

extension Sessions {
    /// The sessions of all users, or those of one role, that end first at the head.
    ///
    /// Answered from an index, whatever their number. A page may be shorter than `limit` when sessions ended meanwhile.
    ///
    /// - Throws: ``Problem`` `.invalid` for a cursor that is not ours.
    package func page(role: Role? = nil, after cursor: String? = nil, limit: Int) async throws -> SessionPage {
        var start: SessionCursor?
        if let cursor {
            guard let read = SessionCursor(cursor) else {
                throw Problem.invalid(.init("cursor", "is not one that a page gave"))
            }
            start = read
        }
        let page = try await store.page(role: role, after: start, limit: min(max(limit, 1), 1_000))
        let sessions = try await store.details(of: page.entries)
        // Those that are not there have ended, or are about to be made: `strikeEnded` tells them apart.
        let made = sessions.compactMap { $0 }
        return SessionPage(
            sessions: made,
            total: page.total - (sessions.count - made.count),
            next: page.next?.text
        )
    }

    /// The sessions of the named users, at most 20 of each.
    package func sessions(of users: [UserID]) async throws -> [Session] {
        users.isEmpty ? [] : try await store.list(of: users, most: 20)
    }

    package func statistics() async throws -> (all: SessionStatistics, byRole: [Role: Int]) {
        try await store.statistics()
    }

    package func countActive() async throws -> Int { try await store.statistics().all.count }

    package func countByRole() async throws -> [Role: Int] { try await store.statistics().byRole }

    /// Looks through the lists for sessions that ended without being struck off, which happens when a connection is lost
    /// at the wrong moment, and strikes them off.
    ///
    /// A session is listed before it is made, so one that is not there may be about to be: those are looked at again when
    /// the command that makes them must have run, or never will.
    ///
    /// - Returns: how many there were.
    /// - Bounds: pages of 500, and as many sessions as there are; made for administrators and quiet hours.
    package func strikeEnded() async throws -> Int {
        try await strikeEnded { try await Task.sleep(for: Self.strikePatience) }
    }

    /// - Parameter wait: between the two looks; a test's own.
    func strikeEnded(waiting wait: () async throws -> Void) async throws -> Int {
        var missing: [(SessionHandle, UserID)] = []
        var cursor: SessionCursor?
        repeat {
            let page = try await store.page(role: nil, after: cursor, limit: Self.strikePage)
            missing += try await withoutSession(page.entries)
            cursor = page.next
        } while cursor != nil
        guard !missing.isEmpty else { return 0 }
        try await wait()
        var cleaned = 0
        for start in stride(from: 0, to: missing.count, by: Self.strikePage) {
            let gone = try await withoutSession(Array(missing[start..<min(start + Self.strikePage, missing.count)]))
            try await store.strike(gone)
            cleaned += gone.count
        }
        return cleaned
    }

    private static let strikePage = 500
    /// Longer than a command to Redis may take.
    static let strikePatience = Duration.seconds(3)

    private func withoutSession(_ entries: [(SessionHandle, UserID)]) async throws -> [(SessionHandle, UserID)] {
        zip(entries, try await store.details(of: entries)).filter { $0.1 == nil }.map(\.0)
    }
}
