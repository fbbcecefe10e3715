import Crypto
import EngineIO
import NIOCore

/// The bytes that accept a WebSocket.
enum HandshakeAnswer {
    /// 101 with the key's answer.
    ///
    /// - Parameter fields: more header fields, each with its CR LF.
    /// - Source: RFC 6455, section 4.2.2.
    static func accept(key: String, fields: String = "") -> ByteBuffer {
        var hash = Insecure.SHA1()
        hash.update(data: Array(key.utf8))
        hash.update(data: Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        var buffer = ByteBufferAllocator().buffer(capacity: 160 + fields.utf8.count)
        buffer.writeStaticString(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        )
        Base64.encode(ByteBuffer(bytes: hash.finalize()), into: &buffer)
        buffer.writeStaticString("\r\n")
        buffer.writeString(fields)
        buffer.writeStaticString("\r\n")
        return buffer
    }
}
