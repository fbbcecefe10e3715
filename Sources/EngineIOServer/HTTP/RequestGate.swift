package import NIOHTTP1

/// Who decides which requests go on to the HTTP server, and when.
///
/// One that is refused is answered by its connection: that costs the reading of its head and one write, so that a flood
/// takes little from those who were let in. One that has to wait costs its parts, which its connection keeps. Endpoints'
/// own requests and direct routes do not come here.
package struct RequestGate: Sendable {
    package enum Verdict: Sendable {
        case passes
        /// It asks for its turn when it is whole, so that who sends half a request takes no place from others.
        case asks
        case refused(DirectAnswer)
    }

    /// Gives a turn or a place in line back. Called once, when the answer begins or the connection is lost; not if the gate
    /// has refused the request.
    package typealias Leave = @Sendable () -> Void

    package enum Entrance: Sendable {
        case goes(Leave)
        /// Until it is decided.
        case waits(Leave)
        case refused(DirectAnswer)
    }

    /// On the connection's loop, with each head; must not block.
    package let judge: @Sendable (HTTPRequestHead) -> Verdict
    /// On the connection's loop, with the head of a request that asks and is whole; must not block. `decided` is called
    /// at most once, on any thread, if the request waits: nil lets it go on.
    package let enter:
        @Sendable (_ head: HTTPRequestHead, _ decided: @escaping @Sendable (DirectAnswer?) -> Void) -> Entrance

    package init(
        judge: @escaping @Sendable (HTTPRequestHead) -> Verdict,
        enter: @escaping @Sendable (HTTPRequestHead, @escaping @Sendable (DirectAnswer?) -> Void) -> Entrance
    ) {
        (self.judge, self.enter) = (judge, enter)
    }
}
