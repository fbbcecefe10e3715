/// Typed handlers of one socket alone; see those of ``Namespace``. They replace the namespace's for the same event.
extension Socket {
    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (First, repeat each Rest) async -> Void
    ) {
        self.set(
            event,
            .queued { socket, event in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                await body(arguments.0, repeat each arguments.1)
            }
        )
    }

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (First, repeat each Rest) async throws -> Answer
    ) {
        self.set(
            event,
            .queued { socket, event in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                do {
                    event.ack(try await body(arguments.0, repeat each arguments.1))
                } catch {
                    event.failed(socket, error)
                }
            }
        )
    }

    package func on<A: Decodable & Sendable>(
        _ event: String,
        _ body: @escaping @Sendable (A, Ack) async -> Void
    ) {
        self.set(
            event,
            .queued { socket, event in
                guard let argument = event.typed(socket, A.self)?.0 else { return }
                await body(argument, event.ack)
            }
        )
    }

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (First, repeat each Rest) -> Void
    ) {
        self.set(
            event,
            .inline { socket, event in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                body(arguments.0, repeat each arguments.1)
            }
        )
    }

    package func on<First: Decodable & Sendable, each Rest: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        inline body: @escaping @Sendable (First, repeat each Rest) throws -> Answer
    ) {
        self.set(
            event,
            .inline { socket, event in
                guard let arguments = event.typed(socket, First.self, repeat (each Rest).self) else { return }
                do {
                    event.ack(try body(arguments.0, repeat each arguments.1))
                } catch {
                    event.failed(socket, error)
                }
            }
        )
    }
}
