import EngineIO
import HTTPTypes
import HummingbirdCore
import NIOCore

/// The answer to an HTTP request for an endpoint: handshakes never come here, so all of them are refused, in the
/// protocol's words.
///
/// An upgrade on a connection that has carried requests already is refused as well. Clients open a new one for it.
///
/// - Source: Engine.IO's reference server, `Server.verify`; the order of the checks is its.
struct EndpointRefusal {
    private let code: HandshakeAnswer.ErrorCode
    private let cors: HTTPFields

    /// `nil` for a request that is not for an endpoint.
    init?(of request: Request, engines: [EngineServer]) {
        guard let engine = engines.first(where: { $0.serves(path: request.uri.path) }) else { return nil }
        let query = request.uri.queryParameters
        self.code =
            if query["transport"] != "websocket" {
                .unknownTransport
            } else if query["sid"] != nil {
                .unknownSession
            } else if request.method != .get {
                .badMethod
            } else {
                .badRequest
            }
        self.cors = Self.fields(of: request, engine.shared.configuration.cors)
    }

    /// A browser shows its own error instead of ours when these are missing.
    private static func fields(of request: Request, _ rule: EngineCORS) -> HTTPFields {
        guard let origin = request.headers[.origin] else { return [:] }
        switch rule {
        case .sameOrigin:
            return [:]
        case .any:
            return [.accessControlAllowOrigin: "*"]
        case .origins(let credentials, let allows):
            guard allows(origin, request.head.authority) else { return [.vary: "Origin"] }
            var fields: HTTPFields = [.accessControlAllowOrigin: origin, .vary: "Origin"]
            if credentials { fields[.accessControlAllowCredentials] = "true" }
            return fields
        }
    }

    var response: Response {
        var fields = self.cors
        fields[.contentType] = "application/json"
        fields[.contentLength] = "\(self.code.body.utf8.count)"
        let body = ResponseBody(byteBuffer: ByteBuffer(string: self.code.body))
        return Response(status: .badRequest, headers: fields, body: body)
    }
}
