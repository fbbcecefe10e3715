import Synchronization

/// The book of all loops. Its lock is held for a look-up or an entry, never across anything that waits.
package final class Referee: Sendable {
    private let checks: Mutex<Checks>

    package init(_ checks: Checks) { self.checks = Mutex(checks) }

    package func with<R: Sendable>(_ body: (inout Checks) -> R) -> R { self.checks.withLock { body(&$0) } }
}
