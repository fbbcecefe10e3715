import Crypto
import EngineIO
import NIOCore

/// The bytes that answer a handshake.
enum HandshakeAnswer {
    /// What is wrong with a request, in the protocol's numbers.
    ///
    /// - Source: the reference server's `Server.errors`.
    enum ErrorCode: Int {
        case unknownTransport = 0
        case unknownSession = 1
        case badMethod = 2
        case badRequest = 3
        case forbidden = 4
        case unsupportedProtocol = 5

        var message: String {
            switch self {
            case .unknownTransport: "Transport unknown"
            case .unknownSession: "Session ID unknown"
            case .badMethod: "Bad handshake method"
            case .badRequest: "Bad request"
            case .forbidden: "Forbidden"
            case .unsupportedProtocol: "Unsupported protocol version"
            }
        }

        var body: String { #"{"code":\#(self.rawValue),"message":"\#(self.message)"}"# }
    }

    /// 101 with the key's answer.
    ///
    /// - Parameter fields: more header fields, each with its CR LF.
    /// - Source: RFC 6455, section 4.2.2.
    static func accept(key: String, fields: String = "") -> ByteBuffer {
        var hash = Insecure.SHA1()
        hash.update(data: Array(key.utf8))
        hash.update(data: Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        var buffer = ByteBufferAllocator().buffer(capacity: 160)
        buffer.writeStaticString(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        )
        Base64.encode(ByteBuffer(bytes: hash.finalize()), into: &buffer)
        buffer.writeStaticString("\r\n")
        buffer.writeString(fields)
        buffer.writeStaticString("\r\n")
        return buffer
    }

    static func refuse(_ code: ErrorCode) -> ByteBuffer {
        Self.response(status: "400 Bad Request", body: code.body)
    }

    /// - Source: RFC 6455, section 4.4.
    static var unsupportedVersion: ByteBuffer {
        Self.response(
            status: "426 Upgrade Required",
            body: ErrorCode.badRequest.body,
            fields: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        )
    }

    static func refuse(_ refusal: EngineRefusal) -> ByteBuffer {
        let phrase =
            switch refusal.status {
            case 401: "Unauthorized"
            case 403: "Forbidden"
            case 429: "Too Many Requests"
            case 503: "Service Unavailable"
            default: "Refused"
            }
        let text = refusal.message.filter { $0 != "\"" && $0 != "\\" && !$0.isNewline }
        return Self.response(
            status: "\(refusal.status) \(phrase)",
            body: #"{"code":\#(ErrorCode.forbidden.rawValue),"message":"\#(text)"}"#,
            fields: refusal.retryAfterSeconds.map { "Retry-After: \($0)\r\n" } ?? ""
        )
    }

    static func response(status: String, body: String, fields: String = "") -> ByteBuffer {
        ByteBuffer(
            string: "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Connection: close\r\n\(fields)\r\n\(body)"
        )
    }
}
