import COpenSSL
import Dispatch
import Glibc
import Synchronization

/// Runs the jobs of one connection's actor, in order, on a thread of its own.
///
/// libpq waits for names to resolve and, here, for the server's answers. Waiting on this thread costs one sleeping
/// thread per connection and neither an event loop nor a thread of the cooperative pool.
///
/// - Bounds: at most a few jobs wait, because one caller at a time holds the lease of a connection and each of its
///   calls enqueues one job.
final class PostgresThread: SerialExecutor {
    private enum Item: Sendable {
        case run(UnownedJob)
        case stop
    }

    private let items = Mutex<[Item]>([])
    private let available = DispatchSemaphore(value: 0)

    /// Starts the thread.
    ///
    /// - Throws: ``PostgresError`` with code `connection` if the system has no thread left.
    init() throws(PostgresError) {
        openssl_keep_until_process_ends()
        // The thread owns one reference to the executor and gives it back when it ends.
        let context = unsafe Unmanaged.passRetained(self)
        // libpq with TLS and Kerberos stays far below 1 MiB; the default would reserve 8.
        let status = unsafe startDetachedThread(stackBytes: 1 << 20, context: context.toOpaque()) { context in
            guard let context = unsafe context else { return nil }
            let executor = unsafe Unmanaged<PostgresThread>.fromOpaque(context)
            unsafe executor.takeUnretainedValue().loop()
            unsafe executor.release()
            return nil
        }
        guard status == 0 else {
            unsafe context.release()
            throw PostgresError(.connection, "connect: no thread for a connection (error \(status))", isRetryable: true)
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        push(.run(UnownedJob(job)))
    }

    /// Ends the thread after the jobs already there. The owning actor calls it in its `deinit`, after which nobody can
    /// enqueue any more.
    func stop() {
        push(.stop)
    }

    private func push(_ item: Item) {
        items.withLock { $0.append(item) }
        available.signal()
    }

    private func loop() {
        while true {
            available.wait()
            switch items.withLock({ $0.removeFirst() }) {
            case .run(let job): unsafe job.runSynchronously(on: asUnownedSerialExecutor())
            case .stop: return
            }
        }
    }
}
