package import NIOCore

/// A socket to which one may emit what it may miss.
///
/// A packet is dropped if bytes sent in an earlier loop tick are not with the network yet, or if the client is
/// long-polling and no poll waits.
package struct VolatileSocket: Sendable {
    let socket: Socket

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.emit(event, arguments: encodeArguments(arguments))
    }

    package func emit(_ event: String, raw: ByteBuffer) { self.emit(event, arguments: [RawJSON(trusted: raw)]) }

    package func emit(_ event: String, arguments: [RawJSON]) {
        let socket = self.socket
        socket.onLoop {
            if !socket.hasUnsentBytes { socket.write(.event(socket.namespace.name, event, arguments)) }
        }
    }
}
