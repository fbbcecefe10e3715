/// Typed handlers that acknowledge by calling their last parameter. One for each number of arguments: Swift takes no
/// parameter behind a pack of them.
extension Namespace {
    package func on<A: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket, A, Ack) async -> Void
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            guard let arguments = event.typed(socket, A.self) else { return }
            await body(socket, arguments.0, event.ack)
        }
    }

    package func on<A: Decodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (Socket, A, Ack) -> Void
    ) {
        self.on(
            event,
            inline: { (socket: Socket, event: SocketEvent) in
                guard let arguments = event.typed(socket, A.self) else { return }
                body(socket, arguments.0, event.ack)
            }
        )
    }

    package func on<A: Decodable & Sendable, B: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket, A, B, Ack) async -> Void
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            guard let arguments = event.typed(socket, A.self, B.self) else { return }
            await body(socket, arguments.0, arguments.1, event.ack)
        }
    }

    package func on<A: Decodable & Sendable, B: Decodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (Socket, A, B, Ack) -> Void
    ) {
        self.on(
            event,
            inline: { (socket: Socket, event: SocketEvent) in
                guard let arguments = event.typed(socket, A.self, B.self) else { return }
                body(socket, arguments.0, arguments.1, event.ack)
            }
        )
    }

    package func on<A: Decodable & Sendable, B: Decodable & Sendable, C: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket, A, B, C, Ack) async -> Void
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            guard let arguments = event.typed(socket, A.self, B.self, C.self) else { return }
            await body(socket, arguments.0, arguments.1.0, arguments.1.1, event.ack)
        }
    }

    package func on<A: Decodable & Sendable, B: Decodable & Sendable, C: Decodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (Socket, A, B, C, Ack) -> Void
    ) {
        self.on(
            event,
            inline: { (socket: Socket, event: SocketEvent) in
                guard let arguments = event.typed(socket, A.self, B.self, C.self) else { return }
                body(socket, arguments.0, arguments.1.0, arguments.1.1, event.ack)
            }
        )
    }
}
