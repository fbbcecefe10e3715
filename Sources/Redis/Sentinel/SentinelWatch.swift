import Logging
import NIOCore

/// Listens to every sentinel for word of another primary.
///
/// All of them, because one that is cut off from the others hears of nothing. A word that was lost costs time, no more:
/// a server that is not the primary any more refuses writes, and one that is gone loses its connections; either way the
/// sentinels are asked before the next connection.
final class SentinelWatch: Sendable {
    private let topology: SentinelTopology
    private let links: [(sentinel: RedisEndpoint, link: ChannelLink)]

    init(_ topology: SentinelTopology, loop: any EventLoop, logger: Logger) {
        self.topology = topology
        links = topology.sentinels.compactMap { sentinel in
            topology.connector(to: sentinel).map { (sentinel, ChannelLink(connector: $0, loop: loop, logger: logger)) }
        }
    }

    /// Calls `moved` on an event loop whenever a sentinel says where the primary is from now on; until cancelled.
    func run(_ moved: @escaping @Sendable (RedisEndpoint) -> Void) async {
        // What was said while nobody listened is asked for. One pending question is enough.
        let (lapses, lapse) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            for (sentinel, link) in links {
                link.want("+switch-master") { [topology] message in
                    guard let primary = Self.primary(String(buffer: message), topology.primaryName) else { return }
                    topology.prefer(sentinel)
                    moved(primary)
                }
                link.onReconnect { lapse.yield() }
                group.addTask { await link.run() }
            }
            group.addTask {
                for await _ in lapses {
                    if let primary = try? await self.topology.endpoint() { moved(primary) }
                }
            }
        }
    }

    /// The new address in `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`; nil if it is about another primary.
    static func primary(_ message: String, _ name: String) -> RedisEndpoint? {
        let words = message.split(separator: " ")
        guard words.count == 5, words[0] == name, let port = Int(words[4]) else { return nil }
        return RedisEndpoint(host: String(words[3]), port: port)
    }
}
