package import NIOCore

/// Bounds of a Socket.IO server.
package struct SocketIOConfiguration: Sendable {
    /// Time for a connection to join its first namespace; then it is closed.
    package var connectTimeout: TimeAmount = .seconds(10)
    /// Time for each attachment of a binary event to come; then the connection is closed. Looked at now and then: it may
    /// take half as long again.
    package var attachmentTimeout: TimeAmount = .seconds(10)
    /// Events a connection may send within a second; over it, it is closed. `nil`: as many as it likes.
    package var maxEventsPerSecond: Int? = 100
    /// Events of one socket that may wait for its handlers; over it, the connection is closed.
    package var maxPendingEvents = 64
    /// Acknowledgements one socket may owe us; over it, `emitWithAck` fails.
    package var maxPendingAcks = 1024
    /// Time for other nodes to answer a question.
    package var clusterTimeout: TimeAmount = .seconds(1)
    /// Time for sockets to acknowledge what a broadcast asks, unless it says another.
    package var ackTimeout: TimeAmount = .seconds(10)
    /// Namespaces one connection may be in.
    package var maxNamespacesPerConnection = 16
    /// Whether clients that lost their connection may come back as the sockets they were, and for how long.
    package var connectionStateRecovery: ConnectionStateRecovery?

    package init() {}
}

/// Why a namespace does not take a socket; sent as CONNECT_ERROR.
package struct ConnectError: Error, Sendable {
    package let message: String
    /// What the client finds as `error.data`.
    package let data: RawJSON?

    package init(message: String, data: RawJSON? = nil) {
        self.message = message
        self.data = data
    }

    package init(message: String, data: some Encodable) {
        self.message = message
        self.data = try? RawJSON(encoding: data)
    }

    /// What a client is told of an error of middleware: of others than ours, nothing.
    init(describing error: any Error) {
        self = error as? ConnectError ?? ConnectError(message: "Internal error")
    }
}

/// Why no acknowledgement came.
package enum AckError: Error, Sendable, Equatable {
    case timeout
    case disconnected
    /// The socket owes us as many as it may.
    case tooMany
}

/// Why a socket left its namespace, in Socket.IO's words.
package struct DisconnectReason: RawRepresentable, Sendable, Hashable {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    package static let clientNamespaceDisconnect = DisconnectReason(rawValue: "client namespace disconnect")
    package static let serverNamespaceDisconnect = DisconnectReason(rawValue: "server namespace disconnect")
    package static let transportClose = DisconnectReason(rawValue: "transport close")
    package static let pingTimeout = DisconnectReason(rawValue: "ping timeout")
    package static let serverShuttingDown = DisconnectReason(rawValue: "server shutting down")
}
