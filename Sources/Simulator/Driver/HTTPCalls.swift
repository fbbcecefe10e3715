package import AsyncHTTPClient
import DequeModule
import NIOCore
import NIOFoundationCompat
package import NIOHTTP1
package import SocketIOClient

/// HTTP requests of one loop's fans. Used on its loop only, which is what makes it Sendable.
///
/// - Bounds: ``mostUnderWay`` requests at a time; the others wait in order, at most one per fan, and their waiting counts
///   as latency.
final class HTTPCalls: @unchecked Sendable {
    struct Answer: Sendable {
        let status: Int
        let body: ByteBuffer
    }

    private struct Call {
        let request: HTTPClient.Request
        let done: @Sendable (Answer?) -> Void
    }

    static let mostUnderWay = 256

    private let client: HTTPClient
    private let eventLoop: any EventLoop
    private let patience: TimeAmount
    private var underWay = 0
    private var waiting = Deque<Call>()

    init(_ client: HTTPClient, on eventLoop: any EventLoop, patience: Duration) {
        self.client = client
        self.eventLoop = eventLoop
        self.patience = .init(patience)
    }

    /// - Parameter done: called once on the loop; nil if there was no answer.
    func call(
        _ method: HTTPMethod,
        _ server: ServerAddress,
        _ path: String,
        token: String,
        body: String? = nil,
        key: String? = nil,
        done: @escaping @Sendable (Answer?) -> Void
    ) {
        self.eventLoop.preconditionInEventLoop()
        guard let request = try? server.request(method, path, token: token, body: body, key: key) else {
            return done(nil)
        }
        let call = Call(request: request, done: done)
        if self.underWay < Self.mostUnderWay { self.start(call) } else { self.waiting.append(call) }
    }

    private func start(_ call: Call) {
        self.underWay += 1
        self.client.execute(
            request: call.request,
            eventLoop: .delegate(on: self.eventLoop),
            deadline: .now() + self.patience
        )
        .hop(to: self.eventLoop)
        .whenComplete { result in
            self.underWay -= 1
            if let next = self.waiting.popFirst() { self.start(next) }
            switch result {
            case .success(let response):
                call.done(Answer(status: Int(response.status.code), body: response.body ?? ByteBuffer()))
            case .failure: call.done(nil)
            }
        }
    }
}

extension ServerAddress {
    func url(_ path: String) -> String {
        let name = self.host.contains(":") ? "[\(self.host)]" : self.host
        return "\(self.isSecure ? "https" : "http")://\(name):\(self.port)\(path)"
    }

    package func request(
        _ method: HTTPMethod,
        _ path: String,
        token: String,
        body: String? = nil,
        key: String? = nil
    ) throws -> HTTPClient.Request {
        var headers: HTTPHeaders = ["Authorization": "Bearer \(token)"]
        if body != nil { headers.add(name: "Content-Type", value: "application/json") }
        if let key { headers.add(name: "Idempotency-Key", value: key) }
        return try HTTPClient.Request(
            url: self.url(path),
            method: method,
            headers: headers,
            body: body.map { .string($0) }
        )
    }
}
