/// Handlers whose parameters are an event's arguments, decoded: `on("sum") { (_, numbers: [Int]) in … }`.
///
/// What the client sent beyond the parameters is left out; what it left out is `null`, so an optional parameter may be
/// missing. An event that does not fit goes to `onInvalidEvent`. A handler may
/// - return nothing;
/// - return a value, which is the acknowledgement; what it throws goes to `onInvalidEvent`;
/// - take an ``Ack`` as its last parameter and acknowledge by calling it.
///
/// With `inline:` it runs on the connection's loop and must not block; otherwise in the socket's queue.
extension Namespace {
    // MARK: In the socket's queue

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket, First, repeat each Rest) async -> Void
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
            await body(socket, arguments.0, repeat each arguments.1)
        }
    }

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket, First, repeat each Rest) async throws -> Answer
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
            do {
                event.ack(try await body(socket, arguments.0, repeat each arguments.1))
            } catch {
                event.failed(socket, error)
            }
        }
    }

    package func on<Answer: Encodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (Socket) async throws -> Answer
    ) {
        self.on(event) { (socket: Socket, event: SocketEvent) async in
            do {
                event.ack(try await body(socket))
            } catch {
                event.failed(socket, error)
            }
        }
    }

    // MARK: On the loop

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (Socket, First, repeat each Rest) -> Void
    ) {
        self.on(
            event,
            inline: { (socket: Socket, event: SocketEvent) in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                body(socket, arguments.0, repeat each arguments.1)
            }
        )
    }

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (Socket, First, repeat each Rest) throws -> Answer
    ) {
        self.on(
            event,
            inline: { (socket: Socket, event: SocketEvent) in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                do {
                    event.ack(try body(socket, arguments.0, repeat each arguments.1))
                } catch {
                    event.failed(socket, error)
                }
            }
        )
    }
}

extension SocketEvent {
    /// The arguments as values of those types; `nil` if they do not fit, which the namespace then hears of.
    func typed<First: Decodable, each Rest: Decodable>(
        _ socket: Socket,
        _ first: First.Type,
        _ rest: repeat (each Rest).Type
    ) -> (First, (repeat each Rest))? {
        do {
            let value = try self.decode(first, at: 0)
            var index = 0
            func next<T: Decodable>(_ type: T.Type) throws -> T {
                index += 1
                return try self.decode(type, at: index)
            }
            return (value, (repeat try next(each rest)))
        } catch {
            self.failed(socket, error)
            return nil
        }
    }

    func failed(_ socket: Socket, _ error: any Error) {
        socket.namespace.handlers.invalidEvent?(socket, self, error)
    }
}
