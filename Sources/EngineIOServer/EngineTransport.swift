import EngineIO

/// What carries a session's packets at the moment. A session owns one and may exchange it for another.
///
/// All calls come on the session's loop.
protocol EngineTransport: AnyObject {
    /// Whether bytes wait that the peer's side of the network has not taken.
    var hasUnsentBytes: Bool { get }
    /// How many bytes this process keeps for the peer.
    var unsentBytes: Int { get }

    /// The transports that a client may change to, as the handshake lists them.
    var upgrades: [String] { get }
    /// Whether the transport has been closed and still has something to tell the peer; it then calls
    /// ``EngineSession/release()`` when it is done.
    var isLingering: Bool { get }

    func send(_ message: EngineMessage)
    /// Sends what is queued before the loop's tick ends, if that makes sense for the transport.
    func flushEarly()
    /// Tells the peer, as far as the transport can, and lets go of the connection.
    func close(_ reason: EngineCloseReason)
}

extension EngineTransport {
    var upgrades: [String] { [] }
    var isLingering: Bool { false }
    func flushEarly() {}
}

/// What a WebSocket connection belongs to: a session, or the upgrade of one.
///
/// All calls come on the connection's loop.
protocol WebSocketOwner: AnyObject {
    /// The loop of the connection.
    var loop: EngineLoop { get }

    func receive(_ packet: EnginePacket)
    /// The connection has ended or must end; the owner closes the transport if that is left to do.
    func close(_ reason: EngineCloseReason)
}
