import EngineIO
import NIOCore
import NIOHTTP1

/// One request of an HTTP connection for an endpoint, and its answer.
///
/// It belongs to the connection's loop; a session of another loop keeps it until it has something to say. Only
/// ``answer(_:)`` and ``isAccepted`` are the session's, which is what makes it Sendable.
final class HTTPExchange: @unchecked Sendable {
    let head: HTTPRequestHead
    /// `nil` for a request that is no endpoint's.
    let server: EngineServer.Shared?
    private let eventLoop: any EventLoop

    // MARK: The connection's

    /// `nil` once the answer is written or never will be.
    private var handler: EngineRequestHandler?
    /// Whose request it is; `nil` for handshakes and errors.
    var session: EngineSession?
    /// The last byte of the request was read.
    var isComplete = false
    var body = ByteBuffer()
    private(set) var answer: HTTPAnswer?
    /// The value of a `Set-Cookie` field.
    var cookie: String?
    /// A WebSocket handshake that was let in; it is answered in its turn.
    var opening: WebSocketOpening?

    // MARK: The session's

    /// The session waits for the body of this POST.
    var isAccepted = false

    init(
        _ head: HTTPRequestHead,
        server: EngineServer.Shared?,
        handler: EngineRequestHandler,
        eventLoop: any EventLoop
    ) {
        self.head = head
        self.server = server
        self.handler = handler
        self.eventLoop = eventLoop
    }

    /// Answers the request; the first answer counts. Any thread.
    func answer(_ answer: HTTPAnswer) {
        if self.eventLoop.inEventLoop {
            self.deliver(answer)
        } else {
            self.eventLoop.execute { self.deliver(answer) }
        }
    }

    private func deliver(_ answer: HTTPAnswer) {
        guard self.answer == nil else { return }
        self.answer = answer
        if let handler = self.handler {
            handler.answered()
        } else if answer.isPayload {
            // What it took from the session's queue is lost with the connection.
            self.session?.onLoop { $0.close(.transportError) }
        }
    }

    /// The answer was written, or its connection is gone.
    func end() { self.handler = nil }

    // MARK: What the head says

    var acceptsGzip: Bool {
        self.head.headers[canonicalForm: "accept-encoding"].contains { coding in
            let parts = coding.lowercased().split(separator: ";").map { $0.filter { $0 != " " } }
            guard let name = parts.first, name == "gzip" || name == "*" else { return false }
            return !parts.dropFirst().contains { $0.hasPrefix("q=0") && !$0.contains { "123456789".contains($0) } }
        }
    }

    var hasCodedBody: Bool {
        self.head.headers[canonicalForm: "content-encoding"].contains { $0.lowercased() != "identity" }
    }

    var maxPayload: Int { self.server?.configuration.maxPayload ?? 0 }

    /// Whether the head alone says that the body is too large.
    var declaresTooMuch: Bool {
        guard let length = self.head.headers.first(name: "content-length") else { return false }
        return (Int(length) ?? .max) > self.maxPayload
    }

    /// Whether the connection may carry another request. After a request for another protocol the parser stops.
    var keepsConnection: Bool { self.head.isKeepAlive && !self.head.headers.contains(name: "upgrade") }

    private var corsFields: [(name: String, value: String)] {
        guard let server = self.server else { return [] }
        let headers = self.head.headers
        return server.configuration.cors.fields(
            origin: headers.first(name: "origin"),
            host: headers.first(name: "host")
        )
    }

    /// The answer to a request that a browser asks before the real one.
    var preflight: HTTPAnswer {
        var answer = HTTPAnswer.empty(.noContent)
        answer.fields = EngineCORS.preflightFields(
            asksFor: self.head.headers.first(name: "access-control-request-headers"),
            isAllowed: self.corsFields.contains { $0.name == "Access-Control-Allow-Origin" }
        )
        return answer
    }

    /// The packets of a POST; `nil` if they are malformed.
    ///
    /// - Source: the reference server's polling transport; a binary body belonged to protocol 3.
    func packets() -> [EnginePacket]? {
        let body = self.body
        self.body = ByteBuffer()
        guard self.head.headers.first(name: "content-type")?.lowercased() != "application/octet-stream",
            body.withUnsafeReadableBytes({ UTF8Check.isValid($0) })
        else { return nil }
        return try? EnginePayload.decode(body)
    }

    /// The head and the body of the answer as they are written.
    func response(_ answer: HTTPAnswer, closes: Bool) -> (HTTPResponseHead, ByteBuffer) {
        var body = answer.body
        var headers = HTTPHeaders()
        headers.reserveCapacity(8)
        if let type = answer.contentType { headers.add(name: "Content-Type", value: type) }
        if answer.isPayload { headers.add(name: "Cache-Control", value: "no-store") }
        for (name, value) in answer.fields + self.corsFields { headers.add(name: name, value: value) }
        if let cookie = self.cookie, answer.isPayload { headers.add(name: "Set-Cookie", value: cookie) }
        if answer.isPayload, let threshold = self.server?.configuration.httpCompression,
            body.readableBytes >= threshold, self.acceptsGzip, let compressed = Gzip.compress(body)
        {
            body = compressed
            headers.add(name: "Content-Encoding", value: "gzip")
        }
        headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        if closes {
            headers.add(name: "Connection", value: "close")
        } else if self.head.version == .http1_0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        if self.head.method == .HEAD { body = ByteBuffer() }
        return (HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers), body)
    }
}

extension EngineRequest {
    /// The head as bytes again: the application reads it when it likes, long after.
    init(_ head: HTTPRequestHead, _ channel: any Channel) {
        var bytes = Array("\(head.method.rawValue) \(head.uri) HTTP/1.1".utf8)
        for (name, value) in head.headers { bytes.append(contentsOf: "\r\n\(name): \(value)".utf8) }
        self.init(head: bytes, remoteAddress: channel.remoteAddress, receivedAt: .now(), isSecure: false)
    }
}
