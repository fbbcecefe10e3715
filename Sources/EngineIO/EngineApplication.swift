package import NIOCore

/// One Engine.IO session as its application sees it, whatever transport carries it at the moment.
///
/// `send` and `close` may be called on ``eventLoop`` only.
package protocol EngineConnection: AnyObject, Sendable {
    var sid: String { get }
    var eventLoop: any EventLoop { get }
    var request: EngineRequest { get }
    /// Whether the peer has not yet taken everything that was sent before this loop tick.
    var hasUnsentBytes: Bool { get }

    /// Queues a message; all that is sent within one tick of the loop leaves in one flush.
    func send(_ message: EngineMessage)
    /// Sends what is queued now, if it can be, and not at the tick's end: for an answer that a peer waits for before it
    /// goes on, and that nothing is likely to follow.
    func flush()
    func close(_ reason: EngineCloseReason)
}

/// The application's side of one session. All calls come on the session's loop, in order; `closed` is the last one.
package protocol EngineReceiver: AnyObject {
    func receive(text: ByteBuffer)
    func receive(binary: ByteBuffer)
    func closed(_ reason: EngineCloseReason)
}

/// What runs on top of an Engine.IO endpoint.
package protocol EngineApplication: Sendable {
    /// A session was opened; called on its loop after the handshake was queued.
    func connected(_ connection: any EngineConnection) -> any EngineReceiver
}

/// Session ids: 20 characters of the URL-safe base64 alphabet, 120 random bits.
package enum SessionID {
    package static let length = 20
    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    package static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        var high = generator.next()
        var low = generator.next()
        return String(unsafeUninitializedCapacity: Self.length) { buffer in
            for index in 0..<10 {
                buffer[index] = Self.alphabet[Int(high & 63)]
                buffer[index + 10] = Self.alphabet[Int(low & 63)]
                high >>= 6
                low >>= 6
            }
            return Self.length
        }
    }

    /// Whether a name could be a session id: such a name may be a socket's own room.
    package static func isPlausible(_ name: String) -> Bool {
        let bytes = name.utf8
        return bytes.count == Self.length
            && bytes.allSatisfy {
                ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x2D
                    || $0 == 0x5F
            }
    }
}
