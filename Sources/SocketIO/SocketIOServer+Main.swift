package import NIOCore

/// What concerns the main namespace, said to the server itself.
extension SocketIOServer {
    package var main: Namespace { self.of("/") }

    package func use(_ body: @escaping @Sendable (Socket) async throws -> Void) { self.main.use(body) }
    package func use(inline body: @escaping @Sendable (Socket) throws -> Void) { self.main.use(inline: body) }

    package func onConnection(_ body: @escaping @Sendable (Socket) async -> Void) { self.main.onConnection(body) }
    package func onConnection(inline body: @escaping @Sendable (Socket) -> Void) {
        self.main.onConnection(inline: body)
    }

    package func onDisconnect(_ body: @escaping @Sendable (Socket, DisconnectReason) async -> Void) {
        self.main.onDisconnect(body)
    }
    package func onDisconnect(inline body: @escaping @Sendable (Socket, DisconnectReason) -> Void) {
        self.main.onDisconnect(inline: body)
    }

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.main.all.emit(event, arguments: encodeArguments(arguments))
    }

    package func to(_ rooms: String...) -> BroadcastOperator { self.main.all.to(rooms) }
    package func `in`(_ rooms: String...) -> BroadcastOperator { self.main.all.to(rooms) }
    package func except(_ rooms: String...) -> BroadcastOperator { self.main.all.except(rooms) }
    package var local: BroadcastOperator { self.main.local }
    package var volatile: BroadcastOperator { self.main.all.volatile }
    package func timeout(_ time: TimeAmount) -> BroadcastOperator { self.main.timeout(time) }

    package func socketsJoin(_ rooms: String...) { self.main.all.apply(.join(rooms)) }
    package func socketsLeave(_ rooms: String...) { self.main.all.apply(.leave(rooms)) }
    package func disconnectSockets(close: Bool = false) { self.main.disconnectSockets(close: close) }
    package func fetchSockets() async -> ClusterList<RemoteSocket> { await self.main.fetchSockets() }
}
