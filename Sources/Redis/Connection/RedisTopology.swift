/// An address to connect to.
struct RedisEndpoint: Sendable, Equatable, Hashable {
    var host: String
    var port: Int
}

/// Answers which server is the primary right now.
///
/// Asked before every attempt to connect, so an answer may change while the client runs. Sentinel will ask its peers here;
/// Cluster will choose among several clients of this kind by the slot of a command's keys.
protocol RedisTopology: Sendable {
    func primary() async throws(RedisError) -> RedisEndpoint
}

/// One server at a fixed address.
struct StandaloneTopology: RedisTopology {
    let endpoint: RedisEndpoint

    func primary() async throws(RedisError) -> RedisEndpoint {
        endpoint
    }
}
