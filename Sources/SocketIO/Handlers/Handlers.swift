import Synchronization

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

/// What decides whether a socket is taken in: waiting for something, or at once on its loop.
enum Middleware: Sendable {
    case queued(@Sendable (Socket) async throws -> Void)
    case inline(@Sendable (Socket) throws -> Void)
}

/// Everything a namespace was told to call.
struct Handlers: Sendable {
    var middleware: [Middleware] = []
    var connection: [ConnectionHandler] = []
    var disconnect: [DisconnectHandler] = []
    var events: [String: EventHandler] = [:]
    var any: [@Sendable (Socket, SocketEvent) -> Void] = []
    var serverSide: [String: @Sendable (ServerSideEvent) -> Void] = [:]
    var unknownEvent: (@Sendable (Socket, SocketEvent) -> Void)?
    var invalidEvent: (@Sendable (Socket, SocketEvent, any Error) -> Void)?
}

/// Handlers as they are read for every event: an object that never changes, so that reading takes no lock.
final class HandlerSnapshot: Sendable {
    let handlers: Handlers

    init(_ handlers: Handlers) { self.handlers = handlers }
}

/// The handlers of a namespace, or of all namespaces of one pattern.
///
/// A change makes a new snapshot at the next look; sockets' loops keep the one they have until they are told.
final class HandlerBox: Sendable {
    private struct State {
        var handlers = Handlers()
        var snapshot: HandlerSnapshot?
    }

    private let state = Mutex(State())

    var snapshot: HandlerSnapshot {
        self.state.withLock { state in
            if let snapshot = state.snapshot { return snapshot }
            let snapshot = HandlerSnapshot(state.handlers)
            state.snapshot = snapshot
            return snapshot
        }
    }

    func change(_ body: (inout sending Handlers) -> Void) {
        self.state.withLock { state in
            body(&state.handlers)
            state.snapshot = nil
        }
    }
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
