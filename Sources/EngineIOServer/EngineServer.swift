package import EngineIO
package import Logging
import Metrics
package import NIOCore
import Synchronization

/// One Engine.IO endpoint: a path, its settings, and the application that its sessions belong to.
///
/// Several endpoints may share a port: see ``HTTPServerBuilder/engineIO(_:http:)``. Each session lives on the event
/// loop that accepted its connection.
package final class EngineServer: Sendable {
    /// What sessions need of their endpoint.
    final class Shared: Sendable {
        let configuration: EngineConfiguration
        let application: any EngineApplication
        let logger: Logger
        let sessions = SessionTable()
        /// WebSocket connections whose channel is open.
        private let transportCount = Atomic<Int>(0)
        private let count = Atomic<Int>(0)
        private let handshakeHead: [UInt8]
        private let handshakeTail: [UInt8]

        init(configuration: EngineConfiguration, application: any EngineApplication, logger: Logger) {
            self.configuration = configuration
            self.application = application
            self.logger = logger
            let interval = configuration.pingInterval.nanoseconds / 1_000_000
            let timeout = configuration.pingTimeout.nanoseconds / 1_000_000
            self.handshakeHead = Array(#"{"sid":""#.utf8)
            self.handshakeTail = Array(
                #"],"pingInterval":\#(interval),"pingTimeout":\#(timeout),"maxPayload":\#(configuration.maxPayload)}"#
                    .utf8
            )
        }

        var sessionCount: Int { self.count.load(ordering: .relaxed) }
        var openTransports: Int { self.transportCount.load(ordering: .relaxed) }
        func transportOpened() { self.transportCount.add(1, ordering: .relaxed) }
        func transportClosed() { self.transportCount.subtract(1, ordering: .relaxed) }

        /// The packet that opens a session.
        ///
        /// - Source: Engine.IO protocol 4, "Handshake".
        func handshake(sid: String, upgrades: [String]) -> EngineMessage {
            var builder = EngineMessageBuilder(.open)
            builder.bytes.writeBytes(self.handshakeHead)
            builder.bytes.writeString(sid)
            builder.bytes.writeStaticString(#"","upgrades":["#)
            builder.bytes.writeString(upgrades.map { "\"\($0)\"" }.joined(separator: ","))
            builder.bytes.writeBytes(self.handshakeTail)
            return builder.finish()
        }

        /// What a request for an endpoint is.
        enum RequestKind {
            case handshake
            case session(EngineSession)
        }

        /// Which request this is, or what is wrong with it. Whether the session is carried by the transport that the
        /// request names is for the session's loop to say.
        ///
        /// - Source: the reference server's `verify`; the order of the checks is its.
        func verify(_ query: EngineQuery, isGet: Bool, isUpgrade: Bool) throws(EngineErrorCode) -> RequestKind {
            guard let transport = query.transport else { throw .unknownTransport }
            if let sid = query.sid {
                guard let session = self.sessions[sid] else { throw .unknownSession }
                guard isUpgrade == (transport == .websocket), isGet || !isUpgrade else { throw .badRequest }
                return .session(session)
            }
            guard isGet else { throw .badMethod }
            guard isUpgrade == (transport == .websocket), !query.isScript else { throw .badRequest }
            return .handshake
        }

        /// Why a handshake that is well-formed does not become a session; `nil` if it does.
        func refusal(of request: EngineRequest, _ query: EngineQuery) -> HTTPAnswer? {
            var answer: HTTPAnswer?
            if let refusal = self.configuration.allowRequest(request) {
                answer = .refusal(refusal)
            } else if !query.isProtocol4 {
                answer = .refusal(.unsupportedProtocol)
            } else if self.sessionCount >= self.configuration.maxSessions {
                let retry = Int.random(in: 1...5)  // Not all of them at once.
                answer = .refusal(EngineRefusal(status: 503, message: "Too many sessions", retryAfterSeconds: retry))
            }
            if answer != nil { EngineMetrics.shared.refused.increment() }
            return answer
        }

        func sessionOpened() {
            let count = self.count.add(1, ordering: .relaxed).newValue
            EngineMetrics.shared.sessionsOpened.increment()
            EngineMetrics.shared.sessions.record(count)
        }

        func sessionClosed(_ reason: EngineCloseReason) {
            let count = self.count.subtract(1, ordering: .relaxed).newValue
            EngineMetrics.shared.sessionsClosed.increment()
            EngineMetrics.shared.sessions.record(count)
            self.logger.trace("session closed", metadata: ["reason": "\(reason.rawValue)"])
        }
    }

    static let pingMessage = EngineMessage(.ping)

    package let path: String
    let shared: Shared
    /// One per event loop of the group; the group does not change.
    private let loops: [EngineLoop]
    private let indexOfLoop: [ObjectIdentifier: Int]

    /// - Parameters:
    ///   - path: begins and ends with a slash, `/socket.io/` by custom.
    ///   - eventLoopGroup: the group that serves HTTP.
    package init(
        path: String = "/socket.io/",
        configuration: EngineConfiguration = .init(),
        application: any EngineApplication,
        eventLoopGroup: any EventLoopGroup,
        logger: Logger
    ) {
        precondition(path.hasPrefix("/") && path.hasSuffix("/"), "Engine.IO path begins and ends with a slash")
        self.path = path
        let shared = Shared(configuration: configuration, application: application, logger: logger)
        self.shared = shared
        self.loops = eventLoopGroup.makeIterator().map { EngineLoop(eventLoop: $0, server: shared) }
        self.indexOfLoop = Dictionary(
            uniqueKeysWithValues: self.loops.enumerated().map { (ObjectIdentifier($1.eventLoop), $0) }
        )
    }

    /// Sessions on this node. Any thread.
    package var connectionCount: Int { self.shared.sessionCount }

    /// Measures what cannot be counted as it happens: bytes that wait for slow clients. For whoever reads metrics.
    package func updateMetrics() async {
        var total = 0
        for loop in self.loops {
            // A loop that is shut down has no sessions.
            total += (try? await loop.eventLoop.submit { loop.unsentBytes }.get()) ?? 0
        }
        EngineMetrics.shared.bufferedBytes.record(total)
    }

    /// Closes every session of this endpoint.
    package func closeAll(_ reason: EngineCloseReason = .serverShuttingDown) {
        for loop in self.loops { loop.eventLoop.execute { loop.closeAll(reason) } }
    }

    func loop(for eventLoop: any EventLoop) -> EngineLoop? {
        self.indexOfLoop[ObjectIdentifier(eventLoop)].map { self.loops[$0] }
    }

    /// Whether a request target's path is this endpoint's, with or without the last slash.
    func serves(path: some StringProtocol) -> Bool {
        path == self.path || path == self.path.dropLast()
    }
}
