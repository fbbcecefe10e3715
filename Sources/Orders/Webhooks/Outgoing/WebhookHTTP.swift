import AsyncHTTPClient
import HoldfastCore
package import Logging
package import NIOCore
import NIOHTTP1
import ServiceLifecycle

/// The way to `WEBHOOK_URL`.
///
/// - Bounds: 2 s to connect, 10 s in all; of the answer's body at most 64 KiB are read, and thrown away. Redirects are
///   not followed, so a message goes to the address that the operator wrote and nowhere else.
package struct WebhookHTTP: Service {
    static let deadline = TimeAmount.seconds(10)
    static let maxAnswerBytes = 64 * 1024

    private let url: String
    private let client: HTTPClient
    private let logger: Logger

    package init(url: String, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.url = url
        self.logger = logger
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(2), read: .seconds(10)),
            decompression: .disabled
        )
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: eventLoopGroup, configuration: configuration)
    }

    /// Keeps the connections until graceful shutdown.
    package func run() async {
        try? await gracefulShutdown()
        do { try await client.shutdown() } catch {
            logger.debug("webhook connections not closed", metadata: ["error": "\(error)"])
        }
    }

    /// - Returns: the status.
    package func post(_ headers: [(String, String)], _ body: [UInt8]) async throws -> Int {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        request.headers.add(name: "User-Agent", value: "Holdfast")
        request.body = .bytes(body)
        // The client's own deadline ends with the head of the answer.
        let status = try await within(.nanoseconds(Self.deadline.nanoseconds)) { [request] in
            let response = try await client.execute(request, timeout: Self.deadline)
            // Read to its end, so that the connection can be used again; what is too long closes it.
            _ = try? await response.body.collect(upTo: Self.maxAnswerBytes)
            return Int(response.status.code)
        }
        guard let status else { throw HTTPClientError.deadlineExceeded }
        return status
    }
}
