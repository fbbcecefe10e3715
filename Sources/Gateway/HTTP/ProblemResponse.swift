import Foundation
import HTTPTypes
import HoldfastCore
import Hummingbird
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import OAuth
import Postgres
import Redis
import Synchronization

/// RFC 9457 on the wire.
struct ProblemBody: Encodable {
    let type = "about:blank"
    let title: String
    let status: Int
    let detail: String
    let code: String
    let nextStep: String
    let limit: Int?
    let errors: [Problem.FieldError]?
    let unavailable: [SeatID]?
    /// The name that OAuth clients look for (RFC 6749, section 5.2).
    let error: String?

    init(_ problem: Problem) {
        title = problem.code.title
        status = problem.code.status
        detail = problem.detail
        code = problem.code.rawValue
        nextStep = problem.code.nextStep
        limit = problem.limit
        // With 422 the list is promised, even if it is the request as a whole that is not allowed.
        errors = problem.errors.isEmpty && problem.code.status != 422 ? nil : problem.errors
        unavailable = problem.unavailable.isEmpty ? nil : problem.unavailable
        error = problem.code.oauthError
    }
}

extension Problem {
    /// The body of a refusal that is about to be sent, and counted.
    func json() -> ByteBuffer {
        RefusalMetrics.shared.refused(code)
        return Response.encoded(ProblemBody(self))
    }

    func response() -> Response {
        var response = Response.json(bytes: json(), status: .init(code: code.status))
        response.headers[.contentType] = "application/problem+json"
        if let retryAfterSeconds { response.headers[.retryAfter] = String(retryAfterSeconds) }
        if code.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }

    /// What a person is told of an error: a refusal as it is, a store that is away as 503, all else as 500.
    ///
    /// - Parameter logger: hears of everything that is our fault; the person does not.
    init(describing error: any Error, logger: Logger) {
        switch error {
        case let problem as Problem:
            self = problem
        case let error as HTTPError:
            self.init(httpStatus: error.status)
        case let error as RedisError:
            logger.warning("Redis failed a request", metadata: ["error": "\(error)"])
            self = .storeAway
        case let error as PostgresError:
            self.init(postgres: error, logger: logger)
        case let error as OAuthError:
            if error.isRetryable {
                logger.warning("the provider failed a request", metadata: ["error": "\(error)"])
            } else {
                logger.error("the provider cannot be used", metadata: ["error": "\(error)"])
            }
            self.init(
                .providerUnavailable,
                "The service where you sign in does not answer right now. Please try again.",
                retryAfterSeconds: error.retryAfterSeconds
            )
        case is HTTPParserError:
            self.init(.malformedRequest, "The request's body breaks the rules of HTTP.")
        case is NIOTooManyBytesError:
            self.init(.payloadTooLarge, "The body is larger than this route takes.")
        case is CancellationError:
            self = .storeAway
        default:
            logger.error("request failed", metadata: ["error.type": "\(type(of: error))", "error": "\(error)"])
            self = .ourFault
        }
    }

    private static let storeAway = Problem(
        .unavailable,
        "A part of the service does not answer right now. Please try again.",
        retryAfterSeconds: 2
    )

    /// Makes no promise that nothing happened: an action may fail after its first step.
    private static let ourFault = Problem(
        .internalError,
        "The request failed on our side. Please look whether it was carried out before you try again."
    )

    private init(postgres error: PostgresError, logger: Logger) {
        let isOurs =
            switch error.code {
            case .server: !error.isRetryable
            case .decoding, .configuration: true
            default: false
            }
        if !isOurs {
            logger.warning("PostgreSQL failed a request", metadata: ["error": "\(error)"])
            self = .storeAway
        } else {
            logger.error("a statement of ours is wrong", metadata: ["error": "\(error)"])
            self = .ourFault
        }
    }

    private init(httpStatus status: HTTPResponse.Status) {
        switch status.code {
        case 404: self.init(.notFound, "There is nothing at this address.")
        case 405: self.init(.methodNotAllowed, "This address does not take this method.")
        case 413: self.init(.payloadTooLarge, "The body is larger than this route takes.")
        case 415: self.init(.unsupportedMediaType, "Send application/json.")
        case 400..<500: self.init(.malformedRequest, "The request cannot be read.")
        default: self = .ourFault
        }
    }
}

/// Whatever a route throws leaves as problem+json. Stands within the middlewares that only add headers.
struct ProblemMiddleware: RouterMiddleware {
    /// Known when all routes are; until then nothing is served.
    let addresses: AddressBook

    final class AddressBook: Sendable {
        private let known = Mutex<KnownAddresses?>(nil)

        func write(_ addresses: KnownAddresses) { known.withLock { $0 = addresses } }

        func methods(of path: String) -> [String] { known.withLock { $0 }?.methods(of: path) ?? [] }
    }

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: @concurrent (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            let methods = addresses.methods(of: request.uri.path).filter { $0 != request.method.rawValue }
            guard !methods.isEmpty else { return Problem(describing: error, logger: context.logger).response() }
            var response = Problem(describing: HTTPError(.methodNotAllowed), logger: context.logger).response()
            response.headers[.allow] = methods.joined(separator: ", ")
            return response
        } catch {
            return Problem(describing: error, logger: context.logger).response()
        }
    }
}
