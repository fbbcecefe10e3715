package import NIOHTTP1

/// Who decides which requests go on to the HTTP server.
///
/// One that is refused is answered by its connection: that costs the reading of its head and one write, so that a flood
/// takes little from those who were let in. Endpoints' own requests and direct routes do not come here.
package struct RequestGate: Sendable {
    package enum Verdict: Sendable {
        /// Counts as under way from its last byte to its answer; then ``RequestGate/begin`` and ``RequestGate/end`` are
        /// called once each. Who sends half a request takes no place from others.
        case counted
        case uncounted
        case refused(DirectAnswer)
    }

    /// On the connection's loop, with each head; must not block.
    package let judge: @Sendable (HTTPRequestHead) -> Verdict
    package let begin: @Sendable () -> Void
    package let end: @Sendable () -> Void

    package init(
        judge: @escaping @Sendable (HTTPRequestHead) -> Verdict,
        begin: @escaping @Sendable () -> Void,
        end: @escaping @Sendable () -> Void
    ) {
        (self.judge, self.begin, self.end) = (judge, begin, end)
    }
}
