import NIOCore
import Synchronization

/// Counts the sockets of each address, so that one machine cannot take every place on the instance.
///
/// - Bounds: `most` per address (`MAX_CONNECTIONS_PER_ADDRESS`); past it handshakes are refused with 503. The table
///   holds only addresses that have a socket.
final class AddressLimit: Sendable {
    private let most: Int
    private let counts = Mutex<[String: Int]>([:])

    init(most: Int) { self.most = most }

    func isFull(_ address: SocketAddress?) -> Bool {
        guard let key = address?.ipAddress else { return false }
        return counts.withLock { $0[key, default: 0] >= most }
    }

    func connected(_ address: SocketAddress?) {
        guard let key = address?.ipAddress else { return }
        counts.withLock { $0[key, default: 0] += 1 }
    }

    func disconnected(_ address: SocketAddress?) {
        guard let key = address?.ipAddress else { return }
        counts.withLock { counts in
            guard let count = counts[key] else { return }
            counts[key] = count > 1 ? count - 1 : nil
        }
    }
}
