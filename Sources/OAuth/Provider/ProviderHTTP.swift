import AsyncHTTPClient
import FoundationEssentials
import HoldfastCore
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Synchronization

/// What the provider answered.
struct ProviderAnswer: Sendable {
    let status: Int
    let json: JSONValue?

    var isSuccess: Bool { (200..<300).contains(status) }
    /// The `error` of RFC 6749, section 5.2, if it is a name.
    var errorName: String? {
        json?["error"]?.string.flatMap { name in
            name.utf8.count <= 64 && name.allSatisfy { $0.isLetter || $0 == "_" } ? name : nil
        }
    }
}

/// Asks the provider, within bounds.
///
/// - Bounds: 64 requests at once, more are refused at once; 2 s to connect, 5 s in all; answers of 256 KiB. Redirects
///   are not followed and bodies not decompressed, so an answer comes from the address that was checked, and is as large
///   as it looks. After five failures in a row nothing is asked for 5 s (``CircuitBreaker``).
/// - Repeats: what can be repeated is asked once more when the connection failed; a code or a refresh token never.
final class ProviderHTTP: Sendable {
    static let maxInFlight = 64
    static let maxAnswerBytes = 256 * 1024
    static let deadline = TimeAmount.seconds(5)

    private struct State {
        var breaker = CircuitBreaker()
        var inFlight = 0
    }

    private let client: HTTPClient
    private let logger: Logger
    private let state = Mutex(State())

    init(eventLoopGroup: any EventLoopGroup, logger: Logger) {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(2), read: .seconds(5)),
            decompression: .disabled
        )
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroup: eventLoopGroup, configuration: configuration)
        self.logger = logger
    }

    func shutDown() async {
        do { try await client.shutdown() } catch {
            logger.debug("provider's connections not closed", metadata: ["error": "\(error)"])
        }
    }

    var isAnswering: Bool { state.withLock { $0.breaker.isClosed } }

    func get(_ url: String, bearer: String? = nil) async throws -> ProviderAnswer {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "Accept", value: "application/json")
        if let bearer { request.headers.add(name: "Authorization", value: "Bearer \(bearer)") }
        return try await send(request, repeats: true)
    }

    /// - Parameter repeats: whether asking a second time does no harm.
    func post(_ url: String, form: [(String, String)], authorization: String?, repeats: Bool) async throws
        -> ProviderAnswer
    {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Accept", value: "application/json")
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        if let authorization { request.headers.add(name: "Authorization", value: authorization) }
        request.body = .bytes(ByteBuffer(string: FormText.encode(form)))
        return try await send(request, repeats: repeats)
    }

    private func send(_ request: HTTPClientRequest, repeats: Bool) async throws -> ProviderAnswer {
        do {
            return try await once(request)
        } catch let error as OAuthError where repeats && error.isConnectionLost {
            return try await once(request)
        }
    }

    private func once(_ request: HTTPClientRequest) async throws -> ProviderAnswer {
        let permission = state.withLock { state -> CircuitBreaker.Permission in
            guard state.inFlight < Self.maxInFlight else { return .wait(.seconds(1)) }
            let permission = state.breaker.request(now: .now)
            if permission == .ask { state.inFlight += 1 }
            return permission
        }
        if case .wait(let pause) = permission {
            throw OAuthError(
                .providerAway,
                "provider: not asked, it did not answer before or too many ask",
                retryAfterSeconds: max(1, Int(pause.components.seconds) + 1),
                mayHaveRun: false
            )
        }
        defer { state.withLock { $0.inFlight -= 1 } }
        do {
            let (status, body) = try await whole(request)
            if status >= 500 || status == 429 {
                state.withLock { $0.breaker.failed(now: .now) }
                throw OAuthError(.providerAway, "provider: answered \(status)", mayHaveRun: false)
            }
            state.withLock { $0.breaker.succeeded() }
            let json = try? JSONDecoder().decode(JSONValue.self, from: Data(buffer: body))
            return ProviderAnswer(status: status, json: json)
        } catch let error as OAuthError {
            throw error
        } catch let error as NIOTooManyBytesError {
            throw OAuthError(.providerAnswer, "provider: answer above \(Self.maxAnswerBytes) bytes: \(error)")
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            state.withLock { $0.breaker.failed(now: .now) }
            // A connection that the provider had closed while it lay idle looks like a lost one. Silence does not, and
            // who waits should not wait twice.
            let isLost = error as? HTTPClientError == .remoteConnectionClosed || error is IOError
            throw OAuthError(
                .providerAway,
                "provider: no answer: \(type(of: error)) \(error)",
                isConnectionLost: isLost
            )
        }
    }
}

extension ProviderHTTP {
    /// The answer to its last byte. The client's own deadline ends with the head, and a byte a second would keep its read
    /// timeout happy for ever.
    private func whole(_ request: HTTPClientRequest) async throws -> (status: Int, body: ByteBuffer) {
        let answer = try await within(.nanoseconds(Self.deadline.nanoseconds)) { [client] in
            let response = try await client.execute(request, timeout: Self.deadline)
            let body = try await response.body.collect(upTo: Self.maxAnswerBytes)
            return (Int(response.status.code), body)
        }
        guard let answer else { throw HTTPClientError.deadlineExceeded }
        return answer
    }
}

/// `application/x-www-form-urlencoded`, as RFC 6749 (appendix B) wants it of clients.
enum FormText {
    static func encode(_ fields: [(String, String)]) -> String {
        fields.map { "\(escape($0))=\(escape($1))" }.joined(separator: "&")
    }

    /// Everything but the unreserved characters of RFC 3986 is escaped, so it is right in a query and in a form.
    static func escape(_ text: String) -> String {
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                escaped += "%" + (digits.utf8.count == 1 ? "0\(digits)" : digits)
            }
        }
        return escaped
    }
}
