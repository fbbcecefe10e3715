import CLibPQ
import Glibc
import Synchronization

/// Interrupts a connection's thread while it waits in `poll`.
///
/// An `eventfd` beside the socket: whoever cancels writes to it, the thread wakes and looks at what was cancelled.
final class Wakeup: Sendable {
    let descriptor: Int32
    /// Statements whose callers gave up. Bounded by the calls under way on one connection: each removes its own.
    private let cancelled = Mutex<Set<UInt64>>([])
    private let nextNumber = Atomic<UInt64>(0)

    init() throws(PostgresError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else {
            throw PostgresError(.connection, "connect: no file descriptor left (error \(errno))", isRetryable: true)
        }
    }

    deinit {
        close(descriptor)
    }

    func newOperation() -> UInt64 {
        nextNumber.wrappingAdd(1, ordering: .relaxed).newValue
    }

    func cancel(_ operation: UInt64) {
        cancelled.withLock { _ = $0.insert(operation) }
        signal()
    }

    func isCancelled(_ operation: UInt64) -> Bool {
        cancelled.withLock { $0.contains(operation) }
    }

    /// Forgets an operation that has ended.
    func end(_ operation: UInt64) {
        cancelled.withLock { _ = $0.remove(operation) }
    }

    func signal() {
        var one: UInt64 = 1
        // A full counter already means "awake", so a failed write loses nothing.
        _ = unsafe write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    func drain() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor, &count, MemoryLayout<UInt64>.size)
    }
}
