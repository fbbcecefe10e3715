import EngineIO
import NIOCore

/// The bare Engine.IO endpoint: each message is sent back as it came.
struct EchoApplication: EngineApplication {
    func connected(_ connection: any EngineConnection) -> any EngineReceiver { Echo(connection: connection) }

    private final class Echo: EngineReceiver {
        private let connection: any EngineConnection

        init(connection: any EngineConnection) { self.connection = connection }

        func receive(text: ByteBuffer) { self.connection.send(EngineMessage(text: text)) }
        func receive(binary: ByteBuffer) { self.connection.send(EngineMessage(binary: binary)) }
        func closed(_ reason: EngineCloseReason) {}
    }
}
