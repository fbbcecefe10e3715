import HoldfastCore
import Presence
import Sessions
import SocketIO
import Synchronization

/// Who a socket speaks for. Kept in `socket.data`; `authenticate` may replace it by a newer session of the same user.
struct SocketIdentity: Sendable {
    let user: UserID
    let session: SessionHandle
    let sessionExpiresAt: ServerTime
}

extension SocketIdentity {
    init(_ signedIn: SignedIn) {
        self.init(
            user: signedIn.userID,
            session: signedIn.session.handle,
            sessionExpiresAt: signedIn.session.expiresAt
        )
    }
}

extension Socket {
    /// - Precondition: the middleware has let the socket in, which is when its identity is set.
    var identity: SocketIdentity {
        guard let identity = data(as: SocketIdentity.self) else {
            preconditionFailure("a connected socket has an identity")
        }
        return identity
    }
}

/// One thing that a socket is in the middle of.
struct Whereabouts: Hashable, Sendable {
    let place: Place
    let event: EventID

    /// The Socket.IO room of everybody in the same place.
    var room: String {
        switch place {
        case .event: "event:\(event)"
        case .queue: "queue:\(event)"
        case .seats: "seats:\(event)"
        }
    }
}

/// This instance's sockets by user, and what each is in the middle of.
///
/// One look-up table behind one lock, held for a look-up and never across an await. It grows with the connections,
/// which the Engine.IO server bounds.
final class LocalSockets: Sendable {
    private struct Member {
        let socket: Socket
        var whereabouts: Set<Whereabouts> = []
    }

    private let users = Mutex<[UserID: [String: Member]]>([:])

    func add(_ socket: Socket) {
        let user = socket.identity.user
        users.withLock { $0[user, default: [:]][socket.id] = Member(socket: socket) }
    }

    /// - Returns: all places the socket was in, and of those the ones no other socket of the user here is in.
    func remove(_ socket: Socket) -> (all: Set<Whereabouts>, last: Set<Whereabouts>) {
        let user = socket.identity.user
        return users.withLock { users in
            guard let member = users[user]?.removeValue(forKey: socket.id) else { return ([], []) }
            guard let others = users[user], !others.isEmpty else {
                users[user] = nil
                return (member.whereabouts, member.whereabouts)
            }
            let last = others.values.reduce(member.whereabouts) { $0.subtracting($1.whereabouts) }
            return (member.whereabouts, last)
        }
    }

    /// - Returns: whether the socket was not there before.
    func enter(_ whereabouts: Whereabouts, _ socket: Socket) -> Bool {
        let user = socket.identity.user
        return users.withLock { users in
            users[user]?[socket.id]?.whereabouts.insert(whereabouts).inserted ?? false
        }
    }

    /// - Returns: whether the socket was there.
    func leave(_ whereabouts: Whereabouts, _ socket: Socket) -> Bool {
        let user = socket.identity.user
        return users.withLock { $0[user]?[socket.id]?.whereabouts.remove(whereabouts) != nil }
    }

    /// Whether any socket of the user on this instance is in the place.
    func has(_ user: UserID, in whereabouts: Whereabouts) -> Bool {
        users.withLock { $0[user]?.values.contains { $0.whereabouts.contains(whereabouts) } ?? false }
    }

    func sockets(of user: UserID) -> [Socket] {
        users.withLock { $0[user]?.values.map(\.socket) ?? [] }
    }

    var all: [Socket] { users.withLock { $0.values.flatMap { $0.values.map(\.socket) } } }

    /// The users in each event's place on this instance.
    func users(in place: Place) -> [EventID: [UserID]] {
        users.withLock { users in
            var result: [EventID: Set<UserID>] = [:]
            for (user, members) in users {
                for member in members.values {
                    for whereabouts in member.whereabouts where whereabouts.place == place {
                        result[whereabouts.event, default: []].insert(user)
                    }
                }
            }
            return result.mapValues(Array.init)
        }
    }
}
