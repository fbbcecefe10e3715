import Synchronization

/// Refreshes under way, by the hash of the token: who asks for the same one meanwhile gets the same answer.
///
/// Tabs wake up together and all present the one token they share; each would otherwise wait in line for the same row.
///
/// - Bounds: as many as there are requests.
final class RefreshFlights: Sendable {
    private let flights = Mutex<[[UInt8]: Task<RefreshOutcome, any Error>]>([:])

    func outcome(
        of hash: [UInt8],
        _ refresh: @escaping @Sendable () async throws -> RefreshOutcome
    ) async throws -> RefreshOutcome {
        let task = flights.withLock { flights in
            if let task = flights[hash] { return task }
            // Awaited below by everyone who asks. Not a child of the first one's task: if that person hangs up, the
            // others still want their answer, and the token has been used.
            let task = Task {
                defer { self.flights.withLock { $0[hash] = nil } }
                return try await refresh()
            }
            flights[hash] = task
            return task
        }
        return try await task.value
    }
}
