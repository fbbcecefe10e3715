import Events
import HoldfastCore
import Logging
import Presence
import Seating
import Sessions
import SocketIO
import WaitingRoom

/// Everything that a person does over Socket.IO: who they are, where they are, and the events of the contract.
struct SocketGateway: Sendable {
    let namespace: Namespace
    let sockets: LocalSockets
    let sessions: Sessions
    let events: Events
    let waitingRoom: WaitingRoom
    let seating: Seating
    let presence: Presence
    let feed: QueueFeed
    let relay: SeatRelay
    let rooms: RoomInfoAnnouncer
    let announcer: EventAnnouncer
    let sessionGuard: SessionGuard
    let requiredGroup: String?
    /// Looks at tokens that are not ours; nil without a provider.
    let vouch: (@Sendable (String) async throws -> SessionCheck)?
    let standings: StandingWriter
    let load: LoadGuard
    let logger: Logger
    let restores = RestoreGate()

    func install() {
        namespace.use { socket in try await authenticate(socket) }
        namespace.onConnection { socket in
            sockets.add(socket)
            await restore(socket)
        }
        namespace.onDisconnect { socket, _ in await disconnected(socket) }
        namespace.onUnknownEvent { socket, event in
            let problem = Problem(.unknownEvent, "The service has no Socket.IO event of this name.")
            socket.refuse(event, problem, logger: logger)
        }
        addRoomEvents()
        addQueueEvents()
        addSeatEvents()
        answer("authenticate", AuthenticatePayload.self, .exempt) { try await reauthenticate($0, $1) }
        namespace.answer("latency", EmptyPayload.self, logger: logger) { _, _ in OkPayload() }
    }

    /// Registers a handler of something the person does; it keeps their session and their state alive.
    ///
    /// - Parameter kind: what happens to it when there is too much to do.
    func answer<Payload: Decodable & Sendable, Answer: Encodable & Sendable>(
        _ event: String,
        _ type: Payload.Type,
        _ kind: LoadGuard.Kind = .arrival,
        with body: @escaping @Sendable (Socket, Payload) async throws -> Answer
    ) {
        namespace.answer(event, type, logger: logger) { socket, payload in
            try await load.through(kind) {
                sessionGuard.noteActivity(socket)
                return try await body(socket, payload)
            }
        }
    }

    // MARK: Places

    /// Puts the socket into a place: its room, this instance's tables, and the messages that go there.
    ///
    /// - Parameter standing: with the queue, what the person is being told; so it is not announced to them again.
    func enter(_ whereabouts: Whereabouts, _ socket: Socket, standing: QueueStanding? = nil) async throws {
        guard sockets.enter(whereabouts, socket) else { return }
        switch whereabouts.place {
        case .event, .seats:
            do {
                try await relay.retain(whereabouts.event)
            } catch {
                _ = sockets.leave(whereabouts, socket)
                throw error
            }
        case .queue:
            feed.watch(socket.identity.user, in: whereabouts.event, known: standing)
        }
        await socket.join(whereabouts.room)
    }

    func leave(_ whereabouts: Whereabouts, _ socket: Socket) async {
        guard sockets.leave(whereabouts, socket) else { return }
        await socket.leave(whereabouts.room)
        left(whereabouts, socket.identity.user)
    }

    private func left(_ whereabouts: Whereabouts, _ user: UserID) {
        switch whereabouts.place {
        case .event, .seats: relay.release(whereabouts.event)
        case .queue: feed.unwatch(user, in: whereabouts.event)
        }
    }

    private func disconnected(_ socket: Socket) async {
        let user = socket.identity.user
        let farewell = sockets.remove(socket)
        for whereabouts in farewell.all { left(whereabouts, user) }
        for whereabouts in farewell.last where whereabouts.place == .event {
            do {
                try await presence.vanish(user, from: whereabouts.event)
            } catch {
                // The room forgets them by itself; see Presence.roomTTL.
                logger.debug("departure not noted", metadata: ["error": "\(error)"])
            }
            rooms.mark(whereabouts.event)
        }
    }

    // MARK: Who it is

    private func authenticate(_ socket: Socket) async throws {
        struct Auth: Decodable { let token: String? }
        let auth = try? socket.handshake.auth.decode(Auth.self)
        guard let token = auth?.token, !token.isEmpty else {
            throw refusal("Authentication required", .authenticationRequired)
        }
        let check: SessionCheck
        do {
            check = try await sessions.authenticate(token, orElse: vouch)
        } catch {
            logger.warning("handshake not checked", metadata: ["error": "\(error)"])
            throw refusal("Service unavailable", .unavailable)
        }
        switch check {
        case .valid(let signedIn):
            guard signedIn.user.grants.mayUseService(of: requiredGroup) else {
                throw refusal("Authentication required", .groupRequired)
            }
            socket.data = SocketIdentity(signedIn)
        case .invalidToken: throw refusal("Invalid authentication token", .invalidToken)
        case .sessionExpired: throw refusal("Session expired", .sessionExpired)
        case .disabled: throw refusal("Invalid authentication token", .accountDisabled)
        }
    }

    private struct RefusalData: Encodable { let code: String }

    private func refusal(_ message: String, _ code: ProblemCode) -> ConnectError {
        ConnectError(message: message, data: RefusalData(code: code.rawValue))
    }

    private func reauthenticate(_ socket: Socket, _ payload: AuthenticatePayload) async throws -> OkPayload {
        switch try await sessions.authenticate(payload.token, orElse: vouch) {
        case .valid(let signedIn) where !signedIn.user.grants.mayUseService(of: requiredGroup):
            throw Problem.groupRequired
        case .valid(let signedIn) where signedIn.userID == socket.identity.user:
            socket.data = SocketIdentity(signedIn)
            sessionGuard.checkSoon(socket)
            return OkPayload()
        case .valid:
            throw Problem(.forbidden, "The token belongs to another user.")
        case .invalidToken:
            throw Problem(.invalidToken, "The access token is not valid.")
        case .sessionExpired:
            throw Problem(.sessionExpired, "The session has ended. Sign in again.")
        case .disabled:
            throw Problem(.accountDisabled, "The account is disabled.")
        }
    }
}

struct EmptyPayload: Decodable, Sendable {}

struct AuthenticatePayload: Decodable, Sendable {
    let token: String
}

struct EventReference: Decodable, Sendable {
    let eventId: EventID
}
