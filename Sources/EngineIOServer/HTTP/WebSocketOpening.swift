import EngineIO
import NIOCore
import NIOHTTP1

/// A WebSocket handshake that was let in.
struct WebSocketOpening {
    /// What the WebSocket is for.
    enum Purpose {
        case newSession(EngineRequest)
        case upgrade(EngineSession)
    }

    let key: String
    let purpose: Purpose
    /// The endpoint's, on the connection's loop.
    let loop: EngineLoop
    let compression: PerMessageDeflate.Agreement?

    /// What a handshake's head says of the WebSocket.
    struct Fields {
        var key: String?
        var version: String?
        /// A body, another version of HTTP, or no host.
        var isUnfit: Bool
    }

    enum Outcome {
        case open(WebSocketOpening)
        case refuse(HTTPAnswer)
    }

    /// Checks a request that asks for a WebSocket: the endpoint's rules first, then those of WebSocket.
    ///
    /// - Parameter request: called when the request itself is looked at; most upgrades do not need it.
    /// - Source: the reference server's `verify`; RFC 6455, section 4.2.
    static func check(
        target: String,
        fields: Fields,
        isGet: Bool,
        loop: EngineLoop,
        request: () -> EngineRequest
    ) -> Outcome {
        let query = EngineQuery(target: target)
        let kind: EngineServer.Shared.RequestKind
        do {
            kind = try loop.server.verify(query, isGet: isGet, isUpgrade: true)
        } catch {
            return .refuse(.refusal(error))
        }
        guard !fields.isUnfit, let version = fields.version, let key = fields.key, key.utf8.count == 24 else {
            return .refuse(.refusal(.badRequest))
        }
        guard version == "13" else { return .refuse(.unsupportedWebSocketVersion) }
        switch kind {
        case .session(let session):
            let agreement = loop.compression?.agree(with: request())
            return .open(.init(key: key, purpose: .upgrade(session), loop: loop, compression: agreement))
        case .handshake:
            let request = request()
            if let answer = loop.server.refusal(of: request, query) { return .refuse(answer) }
            let agreement = loop.compression?.agree(with: request)
            return .open(.init(key: key, purpose: .newSession(request), loop: loop, compression: agreement))
        }
    }
}

extension HTTPRequestHead {
    var asksForWebSocket: Bool {
        let headers = self.headers
        return headers[canonicalForm: "upgrade"].contains { $0.lowercased() == "websocket" }
            && headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }

    var webSocketFields: WebSocketOpening.Fields {
        let keys = self.headers["sec-websocket-key"]
        let versions = self.headers["sec-websocket-version"]
        let length = self.headers.first(name: "content-length")
        return .init(
            key: keys.count == 1 ? keys.first : nil,
            version: versions.count == 1 ? versions.first : nil,
            isUnfit: self.headers.contains(name: "transfer-encoding") || (length != nil && length != "0")
                || self.version != .http1_1 || self.headers["host"].count != 1
        )
    }
}
