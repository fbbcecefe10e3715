/// An address to connect to.
package struct RedisEndpoint: Sendable, Equatable, Hashable {
    package var host: String
    package var port: Int
}

/// Answers which server to connect to right now.
///
/// Asked before every attempt to connect, so an answer may change while the client runs: sentinels are asked here for
/// the present primary, and the nodes of a cluster are taken in turn by whoever wants any of them.
protocol RedisTopology: Sendable {
    func endpoint() async throws(RedisError) -> RedisEndpoint
}

/// One server at a fixed address.
struct StandaloneTopology: RedisTopology {
    let address: RedisEndpoint

    func endpoint() async throws(RedisError) -> RedisEndpoint {
        address
    }
}
