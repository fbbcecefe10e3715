import EngineIO

/// What carries a session's packets at the moment. A session owns one and may exchange it for another.
///
/// All calls come on the session's loop.
protocol EngineTransport: AnyObject {
    /// Whether bytes wait that the peer's side of the network has not taken.
    var hasUnsentBytes: Bool { get }

    func send(_ message: EngineMessage)
    /// Tells the peer, as far as the transport can, and lets go of the connection.
    func close(_ reason: EngineCloseReason)
}
