package import NIOCore

/// Settings of connection state recovery: a client that lost its connection comes back as the socket it was.
///
/// Its id, rooms and data are restored and the events it missed are sent again, in order. What cannot be restored
/// quietly becomes a new socket, so an application always has to be able to start afresh.
///
/// - Source: Socket.IO, "Connection state recovery"; socket.io-client from 4.6 on.
package struct ConnectionStateRecovery: Sendable {
    /// How long after its disconnection a client may come back.
    package var maxDisconnectionDuration: TimeAmount = .minutes(2)
    /// Whether middleware is left out for a recovered socket. It has been asked once; the secret of the session, which
    /// only the client knows, says that this is the same one. Middleware that must see every connection, such as one
    /// that checks an expiring token, needs `false`.
    package var skipMiddlewares = true
    /// In memory: broadcasts kept per namespace, and apart from them events emitted to single sockets. The oldest go
    /// first, and with them the recovery of those who would need them.
    package var maxEventsPerNamespace = 10_000
    /// In memory: bytes of each of the two.
    package var maxBytesPerNamespace = 32 * 1024 * 1024
    /// In memory: sessions per namespace that wait for their clients; the oldest go first.
    package var maxSessionsPerNamespace = 50_000
    /// In Redis: events kept per room, and per socket of those emitted to it alone.
    package var maxEventsPerRoom = 1_000

    package init() {}
}

extension DisconnectReason {
    /// Whether a client may come back after it as the socket it was: it or the server has not taken leave.
    ///
    /// - Source: socket.io, `RECOVERABLE_DISCONNECT_REASONS`. A malformed packet is no reason to trust its sender's
    ///   state; a client that was too slow, unlike in the reference, is one that has missed something.
    package var isRecoverable: Bool {
        switch self.rawValue {
        case "transport error", "transport close", "forced close", "ping timeout", "server shutting down",
            "slow consumer":
            true
        default: false
        }
    }
}
