import CLibPQ
import Glibc
import Synchronization

/// Asks the server, on a connection of its own, to cancel what another connection is running.
///
/// `PQcancel` blocks until the server has closed that second connection, forever if the server is stopped. It therefore
/// runs on a thread made for it, and the waiting connection watches ``isDone`` and its own patience.
///
/// - Bounds: 16 requests at once in the process. At the bound none is sent: the statement's connection is
///   abandoned after its grace, and the server ends the statement by `statement_timeout`.
/// - Source: PostgreSQL 15 manual, 34.7, "Canceling Queries in Progress": `PQcancel` is safe from any thread.
@safe
final class CancelRequest: @unchecked Sendable {
    // Unchecked because of the pointer: it is set once and used by the one thread that `send` starts.
    private let pointer: OpaquePointer
    private let wakeup: Wakeup
    private let done = Atomic<Bool>(false)

    private static let underWay = Atomic<Int>(0)
    private static let maxUnderWay = 16

    private init(pointer: OpaquePointer, wakeup: Wakeup) {
        unsafe self.pointer = pointer
        self.wakeup = wakeup
    }

    deinit {
        unsafe PQfreeCancel(pointer)
    }

    /// Whether the server has received the request: from then on it cannot hit a later statement.
    var isDone: Bool { done.load(ordering: .acquiring) }

    /// Nil if the connection is lost or the bound is reached.
    static func send(for connection: OpaquePointer, wakeup: Wakeup) -> CancelRequest? {
        guard underWay.wrappingAdd(1, ordering: .relaxed).newValue <= maxUnderWay,
            let pointer = unsafe PQgetCancel(connection)
        else {
            underWay.wrappingSubtract(1, ordering: .relaxed)
            return nil
        }
        let request = unsafe CancelRequest(pointer: pointer, wakeup: wakeup)
        guard request.start() else {
            underWay.wrappingSubtract(1, ordering: .relaxed)
            return nil
        }
        return request
    }

    private func start() -> Bool {
        let context = unsafe Unmanaged.passRetained(self)
        let status = unsafe startDetachedThread(stackBytes: 1 << 18, context: context.toOpaque()) { context in
            guard let context = unsafe context else { return nil }
            unsafe Unmanaged<CancelRequest>.fromOpaque(context).takeRetainedValue().perform()
            return nil
        }
        if status != 0 { unsafe context.release() }
        return status == 0
    }

    private func perform() {
        var complaint = [CChar](repeating: 0, count: 256)
        // A failed request is no news: the patience of the waiting connection covers it.
        _ = unsafe PQcancel(pointer, &complaint, Int32(complaint.count))
        done.store(true, ordering: .releasing)
        Self.underWay.wrappingSubtract(1, ordering: .relaxed)
        wakeup.signal()
    }
}
