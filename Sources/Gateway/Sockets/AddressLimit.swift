import EngineIO
import NIOCore
import SocketIO
import Synchronization

/// Counts the sockets of each address, so that one machine cannot take every place on the instance.
///
/// - Bounds: `most` per address (`MAX_CONNECTIONS_PER_ADDRESS`); past it handshakes are refused with 503. The table
///   holds only addresses that have a socket.
final class AddressLimit: Sendable {
    let most: Int
    private let counts = Mutex<[String: Int]>([:])

    init(most: Int) { self.most = most }

    func isFull(_ address: String?) -> Bool {
        guard let key = address else { return false }
        return counts.withLock { $0[key, default: 0] >= most }
    }

    func connected(_ address: String?) {
        guard let key = address else { return }
        counts.withLock { $0[key, default: 0] += 1 }
    }

    func disconnected(_ address: String?) {
        guard let key = address else { return }
        counts.withLock { counts in
            guard let count = counts[key] else { return }
            counts[key] = count > 1 ? count - 1 : nil
        }
    }
}

extension EngineRequest {
    /// The IP address that the request came from.
    func client(behind proxies: TrustedProxies) -> String? {
        let peer = remoteAddress?.ipAddress
        guard !proxies.networks.isEmpty else { return peer }
        let fields = headers.filter { $0.name.lowercased() == "x-forwarded-for" }.map(\.value)
        return proxies.client(peer: peer, forwarded: fields.isEmpty ? nil : fields.joined(separator: ","))
    }
}

extension Handshake {
    func client(behind proxies: TrustedProxies) -> String? { request.client(behind: proxies) }
}
