package import HoldfastCore

/// Sessions that ended for good on this instance, for who has to tell somebody outside of it.
///
/// - Bounds: 4,096 wait; past it the oldest are dropped, whose end was carried out here all the same.
package struct SessionEndings: Sendable {
    package struct Ending: Sendable {
        package let user: UserID
        package let handle: SessionHandle
    }

    /// For one listener.
    package let stream: AsyncStream<Ending>
    private let continuation: AsyncStream<Ending>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Ending.self, bufferingPolicy: .bufferingNewest(4_096))
    }

    func tell(_ handle: SessionHandle, of user: UserID) { continuation.yield(Ending(user: user, handle: handle)) }
}
