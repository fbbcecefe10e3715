package import NIOCore
package import SocketIO

/// How a client connects and when it gives up.
package struct ClientConfiguration: Sendable {
    package var namespace = "/"
    /// What the handshake says of the client: `{"token": …}`, say.
    package var auth: RawJSON?
    /// Time for the whole way from TCP to the namespace's CONNECT.
    package var connectTimeout: TimeAmount = .seconds(20)
    /// Whether a lost connection is made again by itself.
    package var reconnects = true
    package var backoff = Backoff()
    /// The largest message of the server, in bytes.
    package var maxMessageBytes = 16 * 1024 * 1024
    /// Acknowledgements waited for at the same time; past it `emit` with an acknowledgement fails at once.
    package var maxPendingAcks = 1_024
    /// Bytes that may wait for a server that does not read; past it the connection is cut.
    package var maxPendingBytes = 1024 * 1024

    package init() {}
}

/// What befalls a client. Told on its loop, in order.
package enum ClientEvent: Sendable {
    /// In the namespace, under this id.
    case connected(id: String)
    /// The namespace said no; a client does not come back by itself after it.
    case refused(ConnectError)
    case event(String, [RawJSON])
    case disconnected(ClientDisconnect)
    /// Tries again by itself after this long.
    case reconnecting(attempt: Int, after: Duration)
}

/// Why a connection is over, in the words of socket.io-client where it has some.
package enum ClientDisconnect: Sendable, Equatable, CustomStringConvertible {
    /// The server sent DISCONNECT; a client does not come back by itself after it.
    case byServer
    case byClient
    case pingTimeout
    case transportClose
    /// No connection, or no Socket.IO behind it.
    case failed(String)

    package var description: String {
        switch self {
        case .byServer: "io server disconnect"
        case .byClient: "io client disconnect"
        case .pingTimeout: "ping timeout"
        case .transportClose: "transport close"
        case .failed(let reason): reason
        }
    }
}

/// Why an acknowledgement did not come.
package enum AckFailure: Error, Sendable, Equatable {
    case timeout
    /// The connection went first; the server may have done what was asked.
    case disconnected
    case notConnected
    case tooMany
    /// Attachments are not for this client.
    case binary
}
