/// The answer of `work`, or nil when it takes longer than `deadline`; then it is cancelled, and its outcome unknown.
///
/// - Throws: what `work` throws, and `CancellationError` when the caller is cancelled first.
package func within<Answer: Sendable>(
    _ deadline: Duration,
    _ work: @escaping @Sendable () async throws -> Answer
) async throws -> Answer? {
    try await withThrowingTaskGroup(of: Answer?.self) { group in
        group.addTask { try await work() }
        group.addTask {
            try await Task.sleep(for: deadline)
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
