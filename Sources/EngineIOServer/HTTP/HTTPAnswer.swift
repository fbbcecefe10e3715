import EngineIO
import NIOCore
import NIOHTTP1

/// What is wrong with a request, in the protocol's numbers.
///
/// - Source: the reference server's `Server.errors`.
enum EngineErrorCode: Int, Error {
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
}

/// The answer to one HTTP request of an endpoint, without what depends on its connection.
struct HTTPAnswer: Sendable {
    var status: HTTPResponseStatus
    var contentType: String?
    var body = ByteBuffer()
    var fields: [(name: String, value: String)] = []
    /// Whether the body may be compressed.
    var isPayload = false

    /// A polling answer.
    static func payload(_ body: ByteBuffer) -> HTTPAnswer {
        HTTPAnswer(status: .ok, contentType: "text/plain; charset=UTF-8", body: body, isPayload: true)
    }

    /// The answer to a POST that was taken.
    static var taken: HTTPAnswer {
        HTTPAnswer(status: .ok, contentType: "text/html", body: ByteBuffer(string: "ok"))
    }

    /// A refusal of the connection itself, before any route is known (RFC 9457).
    static func problem(_ status: HTTPResponseStatus) -> HTTPAnswer {
        let (title, code, detail, next) =
            switch status {
            case .requestTimeout:
                (
                    "The request took too long to arrive", "REQUEST_TIMEOUT",
                    "A request's head must arrive within 10 seconds and its body within 15.",
                    "Send the whole request again, without pauses."
                )
            case .requestHeaderFieldsTooLarge:
                (
                    "The request's head is too large", "HEAD_TOO_LARGE",
                    "A request may have at most 100 header fields and 16 KiB of head.",
                    "Send fewer and shorter header fields."
                )
            default:
                (
                    "The request cannot be read", "MALFORMED_REQUEST", "The request breaks the rules of HTTP.",
                    "Send the request as /docs describes it."
                )
            }
        let body =
            #"{"type":"about:blank","title":"\#(title)","status":\#(status.code),"detail":"\#(detail)","#
            + #""code":"\#(code)","nextStep":"\#(next)"}"#
        return HTTPAnswer(status: status, contentType: "application/problem+json", body: ByteBuffer(string: body))
    }

    static func empty(_ status: HTTPResponseStatus) -> HTTPAnswer { HTTPAnswer(status: status) }

    static func refusal(_ code: EngineErrorCode) -> HTTPAnswer {
        Self.error(code == .forbidden ? .forbidden : .badRequest, code, code.message)
    }

    static func refusal(_ refusal: EngineRefusal) -> HTTPAnswer {
        let text = refusal.message.filter { $0 != "\"" && $0 != "\\" && $0.unicodeScalars.allSatisfy { $0.value > 31 } }
        var answer = Self.error(HTTPResponseStatus(statusCode: refusal.status), .forbidden, text)
        if let seconds = refusal.retryAfterSeconds { answer.fields.append(("Retry-After", "\(seconds)")) }
        return answer
    }

    /// - Source: RFC 6455, section 4.4.
    static var unsupportedWebSocketVersion: HTTPAnswer {
        var answer = Self.error(.upgradeRequired, .badRequest, EngineErrorCode.badRequest.message)
        answer.fields = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        return answer
    }

    private static func error(_ status: HTTPResponseStatus, _ code: EngineErrorCode, _ message: String) -> HTTPAnswer {
        let body = ByteBuffer(string: #"{"code":\#(code.rawValue),"message":"\#(message)"}"#)
        return HTTPAnswer(status: status, contentType: "application/json", body: body)
    }

    /// The whole answer as bytes, for a connection without HTTP handlers; it is closed afterwards.
    func bytes(_ more: [(name: String, value: String)] = []) -> ByteBuffer {
        var bytes = ByteBuffer(string: "HTTP/1.1 \(self.status.code) \(self.status.reasonPhrase)\r\n")
        if let type = self.contentType { bytes.writeString("Content-Type: \(type)\r\n") }
        for (name, value) in self.fields + more { bytes.writeString("\(name): \(value)\r\n") }
        bytes.writeString("Content-Length: \(self.body.readableBytes)\r\nConnection: close\r\n\r\n")
        bytes.writeImmutableBuffer(self.body)
        return bytes
    }
}

extension HTTPAnswer {
    init(_ answer: DirectAnswer) {
        self.init(status: answer.status, body: answer.body, fields: answer.fields)
    }
}
