package import NIOCore

/// What an Engine.IO endpoint allows and how often it asks whether a peer is still there.
package struct EngineConfiguration: Sendable {
    /// Time between a connection's last pong and the next ping.
    package var pingInterval: TimeAmount = .seconds(25)
    /// Time within which a ping must be answered.
    package var pingTimeout: TimeAmount = .seconds(20)
    /// Time for a started upgrade to be finished.
    package var upgradeTimeout: TimeAmount = .seconds(10)
    /// The largest message or polling body of a peer, in bytes.
    package var maxPayload: Int = 65_536
    /// Bytes that may wait for a peer that does not read; beyond them it is closed as a slow consumer.
    package var maxPendingOutboundBytes: Int = 256 * 1024
    /// Asked on the connection's loop before a handshake; must not block. `nil` lets the request in.
    package var allowRequest: @Sendable (EngineRequest) -> EngineRefusal? = { _ in nil }

    /// Sessions of the endpoint on this node; a handshake beyond them gets 503.
    package var maxSessions: Int = 250_000
    /// The smallest polling answer, in bytes, that is compressed for a client that takes gzip; `nil`: none is.
    package var httpCompression: Int? = 1_024
    /// Set on the handshake's answer, for load balancers that keep a client with its node; its value is the sid.
    package var cookie: EngineCookie?
    /// Compression of WebSocket messages for clients that offer it. `nil`, the default, is off: most messages are
    /// short, and compressing costs more than the bytes it saves.
    package var perMessageDeflate: PerMessageDeflate?

    /// Which pages of other origins may read the endpoint's HTTP answers, errors included.
    package var cors: EngineCORS = .sameOrigin

    package init() {}
}

/// The sticky cookie of a session.
package struct EngineCookie: Sendable, Equatable {
    package enum SameSite: String, Sendable { case strict = "Strict", lax = "Lax", none = "None" }

    package var name: String
    package var path: String? = "/"
    package var isHTTPOnly = true
    package var sameSite: SameSite? = .lax
    package var maxAgeSeconds: Int?
    package var isSecure = false

    package init(name: String = "io") { self.name = name }

    /// The value of the `Set-Cookie` field.
    package func field(sid: String) -> String {
        var text = "\(self.name)=\(sid)"
        if let age = self.maxAgeSeconds { text += "; Max-Age=\(age)" }
        if let path = self.path { text += "; Path=\(path)" }
        if self.isHTTPOnly { text += "; HttpOnly" }
        if self.isSecure { text += "; Secure" }
        if let site = self.sameSite { text += "; SameSite=\(site.rawValue)" }
        return text
    }
}

/// Cross-origin rules for an endpoint's HTTP answers. WebSocket handshakes know none: `allowRequest` looks at them.
package enum EngineCORS: Sendable {
    case sameOrigin
    /// Everybody, without credentials.
    case any
    /// Those for which `allows` is true, told their origin and the request's host.
    case origins(credentials: Bool, allows: @Sendable (_ origin: String, _ host: String?) -> Bool)
}

/// Why a handshake is refused, as HTTP says it.
package struct EngineRefusal: Sendable, Equatable {
    package var status: Int
    /// Sent to the peer as `message`, with Engine.IO's code 4.
    package var message: String
    package var retryAfterSeconds: Int?

    package init(status: Int = 403, message: String, retryAfterSeconds: Int? = nil) {
        self.status = status
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }
}

/// Why a session ended, in the words that Socket.IO's applications know.
package enum EngineCloseReason: String, Sendable, Equatable {
    case transportClose = "transport close"
    case transportError = "transport error"
    case pingTimeout = "ping timeout"
    case parseError = "parse error"
    case forcedClose = "forced close"
    case serverShuttingDown = "server shutting down"
    case slowConsumer = "slow consumer"
    case tooManyEvents = "too many events"
    case messageTooLarge = "message too large"

    /// The WebSocket close code that tells the peer.
    ///
    /// - Source: RFC 6455, section 7.4.1. A client's library comes back after any of them but a refusal of its own.
    package var webSocketCode: UInt16 {
        switch self {
        case .transportClose, .forcedClose, .pingTimeout: 1000
        case .serverShuttingDown: 1001
        case .transportError: 1002
        case .parseError: 1007
        case .slowConsumer, .tooManyEvents: 1008
        case .messageTooLarge: 1009
        }
    }
}
