import Redis
import TestSupport
import Testing

@testable import SocketIORedis

@Suite(.enabled(if: TestRedis.isConfigured), .timeLimit(.minutes(20))) struct RecoveryScriptsRedisTests {
    @Test("A record that is written anew, late, leaves alone that another node has the session by now")
    func beginLeavesOthersAlone() async throws {
        let keys = RecoveryKeys(prefix: TestRedis.uniqueKey("sio"), namespace: "/")
        try await TestRedis.withClient { client in
            func begin(_ owner: String, _ room: String) async throws {
                _ = try await client.eval(
                    RecoveryScripts.begin,
                    keys: [keys.head, keys.session("pid")],
                    arguments: ["epoch", RedisArgument(owner), "sid", "60000", "0", "", "0", RedisArgument(room)]
                )
            }
            func field(_ name: String) async throws -> String? {
                try await client.send(RedisCommand("HGET", RedisArgument(keys.session("pid")), RedisArgument(name)))
                    .string
            }
            try await begin("first", "a")
            // Its own record an owner may write again: Redis may have lost some of it.
            try await begin("first", "b")
            let (lost, own) = (try await field("r:a"), try await field("r:b"))
            #expect(lost == nil && own == "0")

            try await begin("second", "c")
            let (owner, room, others) = (try await field("owner"), try await field("r:b"), try await field("r:c"))
            #expect(owner == "first" && room == "0" && others == nil)
        }
    }
}
