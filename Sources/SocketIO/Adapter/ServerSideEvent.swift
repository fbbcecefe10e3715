package import NIOCore

/// An event that another node emitted for the nodes themselves: `io.serverSideEmit("cache-cleared", key)`.
package struct ServerSideEvent: Sendable {
    package let name: String
    package let arguments: [RawJSON]
    /// The node that emitted it.
    package let node: String
    let answer: (@Sendable (RawJSON?) -> Void)?

    package var wantsAck: Bool { self.answer != nil }

    package subscript(index: Int) -> RawJSON {
        self.arguments.indices.contains(index) ? self.arguments[index] : .null
    }

    package func decode<T: Decodable>(_ type: T.Type = T.self, at index: Int = 0) throws -> T {
        try self[index].decode(type)
    }
}

extension Namespace {
    /// Called with what other nodes emit for the nodes themselves; what it returns is the acknowledgement.
    ///
    /// Events of one node are handled one after another, in its order, whatever their names.
    package func on<Answer: Encodable & Sendable>(
        serverSide event: String,
        _ body: @escaping @Sendable (ServerSideEvent) async throws -> Answer
    ) {
        self.setServerSide(event) { [jobs = self.server.serverSideJobs] event in
            let isTaken = jobs.submit(from: event.node) {
                let value = try? await body(event)
                event.answer?(value.map { encodeArguments([$0])[0] })
            }
            if !isTaken { event.answer?(nil) }
        }
    }

    package func on(serverSide event: String, _ body: @escaping @Sendable (ServerSideEvent) async -> Void) {
        self.setServerSide(event) { [jobs = self.server.serverSideJobs] event in
            let isTaken = jobs.submit(from: event.node) {
                await body(event)
                event.answer?(nil)
            }
            if !isTaken { event.answer?(nil) }
        }
    }

    /// Called where the adapter delivers, in order of arrival; must not block.
    package func on(serverSide event: String, inline body: @escaping @Sendable (ServerSideEvent) -> Void) {
        self.setServerSide(event) { event in
            body(event)
            event.answer?(nil)
        }
    }

    /// Emits to the handlers of all other nodes.
    package func serverSideEmit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.server.adapter?.publish(
            ClusterMessage(
                node: self.server.node,
                namespace: self.name,
                rooms: [],
                except: [],
                operation: .serverSide(event, encodeArguments(arguments))
            )
        )
    }

    /// Emits to the handlers of all other nodes and gathers what they return; nodes without a handler add nothing.
    package func serverSideEmitWithAck(
        _ event: String,
        _ arguments: any Encodable & Sendable...,
        timeout: TimeAmount? = nil
    ) async -> ClusterList<RawJSON> {
        let outcome = await self.server.ask(
            .serverSide(event, encodeArguments(arguments)),
            namespace: self.name,
            timeout: timeout ?? self.server.configuration.clusterTimeout
        )
        let values = outcome.answers.compactMap { if case .serverSide(let value) = $0 { value } else { nil } }
        return ClusterList(elements: values, silentNodes: outcome.silentNodes, missingSockets: 0)
    }

    /// False if nobody here listens to the event.
    @discardableResult func received(_ event: ServerSideEvent) -> Bool {
        guard let handler = self.handlers.serverSide[event.name] else { return false }
        handler(event)
        return true
    }
}

extension SocketIOServer {
    package func on<Answer: Encodable & Sendable>(
        serverSide event: String,
        _ body: @escaping @Sendable (ServerSideEvent) async throws -> Answer
    ) {
        self.main.on(serverSide: event, body)
    }

    package func on(serverSide event: String, _ body: @escaping @Sendable (ServerSideEvent) async -> Void) {
        self.main.on(serverSide: event, body)
    }

    package func on(serverSide event: String, inline body: @escaping @Sendable (ServerSideEvent) -> Void) {
        self.main.on(serverSide: event, inline: body)
    }
}
