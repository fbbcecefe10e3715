/// What is called for an event: in the socket's queue, or on its loop at once.
enum EventHandler: Sendable {
    case queued(@Sendable (Socket, SocketEvent) async -> Void)
    case inline(@Sendable (Socket, SocketEvent) -> Void)
}

enum ConnectionHandler: Sendable {
    case queued(@Sendable (Socket) async -> Void)
    case inline(@Sendable (Socket) -> Void)
}

enum DisconnectHandler: Sendable {
    case queued(@Sendable (Socket, DisconnectReason) async -> Void)
    case inline(@Sendable (Socket, DisconnectReason) -> Void)
}

/// Everything a namespace was told to call. Complete before the first connection; then it only gets read.
struct Handlers: Sendable {
    var middleware: [@Sendable (Socket) async throws -> Void] = []
    var connection: [ConnectionHandler] = []
    var disconnect: [DisconnectHandler] = []
    var events: [String: EventHandler] = [:]
    var any: [@Sendable (Socket, SocketEvent) -> Void] = []
    var unknownEvent: (@Sendable (Socket, SocketEvent) -> Void)?
    var invalidEvent: (@Sendable (Socket, SocketEvent, any Error) -> Void)?
}

/// One thing a socket's handlers have to do.
enum HandlerJob: Sendable {
    case connection(ConnectionHandler)
    case event(SocketEvent, EventHandler)
    case disconnect(DisconnectHandler, DisconnectReason)

    var isEvent: Bool { if case .event = self { true } else { false } }

    /// Runs the job if it is one for the loop, where the caller is.
    func runInline(_ socket: Socket) -> Bool {
        switch self {
        case .connection(.inline(let body)): body(socket)
        case .event(let event, .inline(let body)): body(socket, event)
        case .disconnect(.inline(let body), let reason): body(socket, reason)
        case .connection, .event, .disconnect: return false
        }
        return true
    }

    var isInline: Bool {
        switch self {
        case .connection(.inline), .event(_, .inline), .disconnect(.inline, _): true
        case .connection, .event, .disconnect: false
        }
    }

    func runQueued(_ socket: Socket) async {
        switch self {
        case .connection(.queued(let body)): await body(socket)
        case .event(let event, .queued(let body)): await body(socket, event)
        case .disconnect(.queued(let body), let reason): await body(socket, reason)
        case .connection, .event, .disconnect: break
        }
    }
}
