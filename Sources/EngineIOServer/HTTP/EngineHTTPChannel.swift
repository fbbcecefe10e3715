import EngineIO
package import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import Synchronization

/// Sets up accepted connections: our handshakes become sessions, everything else is Hummingbird's.
struct EngineHTTPChannel: HTTPChannelHandler {
    typealias HTTP = HTTP1Channel.Value

    /// A connection whose first request has not come yet.
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let outcome: EventLoopFuture<FirstRequestOutcome<HTTP>>
    }

    let engines: [EngineServer]
    let direct: DirectRoutes?
    let gate: RequestGate?
    let http: HTTP1Channel
    let idleTimeout: TimeAmount?
    let opening: OpeningConnections
    let acceptor: SessionAcceptor

    var responder: HTTPChannelHandler.Responder { self.http.responder }

    init(
        engines: [EngineServer],
        direct: DirectRoutes?,
        gate: RequestGate?,
        http: HTTP1Channel,
        idleTimeout: TimeAmount?
    ) {
        self.engines = engines
        self.direct = direct
        self.gate = gate
        self.http = http
        self.idleTimeout = idleTimeout
        let opening = OpeningConnections()
        self.opening = opening
        self.acceptor = SessionAcceptor(engines: engines) { acceptor in
            FirstRequestHandler<HTTP>(
                engines: engines,
                direct: direct,
                gate: gate,
                waiter: .acceptor(acceptor),
                idleTimeout: idleTimeout,
                opening: opening
            )
        }
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        if let first = try? channel.pipeline.syncOperations.handler(type: FirstRequestHandler<HTTP>.self) {
            return first.becomeHTTP(on: channel, { self.http.setup(channel: $0, logger: logger) }).map { http in
                Value(channel: channel, outcome: channel.eventLoop.makeSucceededFuture(.http(http)))
            }
        }
        // Handlers in front of ours are somebody's who wraps this channel, as TLS does. They come with the long way only.
        if let server = channel.parent, channel.pipeline.isEmpty { self.acceptor.install(on: server) }
        return channel.eventLoop.makeCompletedFuture {
            let promise = channel.eventLoop.makePromise(of: FirstRequestOutcome<HTTP>.self)
            let handler = FirstRequestHandler<HTTP>(
                engines: self.engines,
                direct: self.direct,
                gate: self.gate,
                waiter: .promise(promise) { self.http.setup(channel: $0, logger: logger) },
                idleTimeout: self.idleTimeout,
                opening: self.opening
            )
            try channel.pipeline.syncOperations.addHandler(handler)
            return Value(channel: channel, outcome: promise.futureResult)
        }
    }

    /// Returns when the connection is a session or its HTTP requests are over: a session keeps no task.
    func handle(value: Value, logger: Logger) async {
        guard case .http(let channel)? = try? await value.outcome.get() else { return }
        await self.handleHTTP(asyncChannel: channel, logger: logger)
    }
}

extension HTTPServerBuilder {
    /// An HTTP/1.1 server that also serves Engine.IO endpoints.
    ///
    /// - Parameters:
    ///   - engines: one or several endpoints, each with a path of its own.
    ///   - direct: addresses that connections answer themselves.
    ///   - gate: asked about every other request that is no endpoint's; nil lets all in.
    ///   - http: settings of the connections that stay HTTP. Header limits are set here: 16 KiB, 100 fields.
    package static func engineIO(
        _ engines: [EngineServer],
        direct: DirectRoutes? = nil,
        gate: RequestGate? = nil,
        http: HTTP1Channel.Configuration = .init(idleTimeout: .seconds(75))
    ) -> HTTPServerBuilder {
        var configuration = http
        configuration.httpDecoder.maxHeaderFieldSize = UpgradeRequestHead.maxBytes
        configuration.httpDecoder.maxHeaderListSize = UpgradeRequestHead.maxBytes
        configuration.httpDecoder.maxHeaderFieldCount = UpgradeRequestHead.maxFields
        // Polls would look idle to Hummingbird, which does not see them: `RequestWatch` keeps the time.
        configuration.idleTimeout = nil
        let fixed = configuration
        DescriptorTable.reserve()
        return HTTPServerBuilder { responder in
            EngineHTTPChannel(
                engines: engines,
                direct: direct,
                gate: gate,
                http: HTTP1Channel(responder: responder, configuration: fixed),
                idleTimeout: http.idleTimeout
            )
        }
    }
}

/// Counts the connections that have not said what they want.
final class OpeningConnections: Sendable {
    private let limit: Int
    private let count = Atomic<Int>(0)

    /// - Parameter limit: each may stay for `RequestWatch.headTimeout`, so that this many may come in that time and say
    ///   nothing.
    init(limit: Int = 16_384) { self.limit = limit }

    /// Whether there is room for another one, which then counts.
    func enter() -> Bool {
        if self.count.add(1, ordering: .relaxed).newValue <= self.limit { return true }
        self.leave()
        return false
    }

    func leave() { self.count.subtract(1, ordering: .relaxed) }
}

extension ChannelPipeline {
    /// Whether no handler has been added. There is no other way to ask; a pipeline that is taken for one with handlers
    /// only costs time.
    fileprivate var isEmpty: Bool { self.debugDescription.contains("<no handlers>") }
}
