import NIOCore
import Testing

@testable import Redis

struct SlotMapTests {
    private func text(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

    private func range(_ first: Int, _ last: Int, _ host: RESPValue, _ port: Int) -> RESPValue {
        .array([.integer(first), .integer(last), .array([host, .integer(port), text("id"), .array([])])])
    }

    @Test("Each slot has the owner that the map names; slots of nobody have none")
    func owners() {
        let reply = RESPValue.array([range(0, 99, text("a"), 1), range(200, 16383, text("b"), 2)])
        let map = SlotMap(reply, from: nil)
        #expect(map?.nodes == [RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "b", port: 2)])
        #expect(map?.owner(of: 99) == RedisEndpoint(host: "a", port: 1))
        #expect(map?.owner(of: 100) == nil)
        #expect(map?.owner(of: 16383) == RedisEndpoint(host: "b", port: 2))
    }

    @Test("A node that does not know its own name is the one that was asked; one that nobody knows is left out")
    func names() {
        let asked = RedisEndpoint(host: "seed", port: 9)
        let reply = RESPValue.array([
            range(0, 9, .null, 1), range(10, 19, text(""), 2), range(20, 29, text("?"), 3),
        ])
        let map = SlotMap(reply, from: asked)
        #expect(map?.owner(of: 5) == RedisEndpoint(host: "seed", port: 1))
        #expect(map?.owner(of: 15) == RedisEndpoint(host: "seed", port: 2))
        #expect(map?.owner(of: 25) == nil)
    }

    @Test(
        "What is no map is none",
        arguments: [
            RESPValue.array([]), .null, .integer(1), .array([.integer(1)]),
            .array([.array([.integer(0), .integer(1)])]),
            .array([.array([.integer(5), .integer(4), .array([.simpleString("a"), .integer(1)])])]),
            .array([.array([.integer(0), .integer(16384), .array([.simpleString("a"), .integer(1)])])]),
            .array([.array([.integer(-1), .integer(2), .array([.simpleString("a"), .integer(1)])])]),
        ]
    )
    func refused(_ reply: RESPValue) {
        #expect(SlotMap(reply, from: RedisEndpoint(host: "a", port: 1)) == nil)
    }

    @Test("A slot that moved has its new owner, known before or not")
    func moved() {
        var map = SlotMap(.array([range(0, 16383, text("a"), 1)]), from: nil)
        map?.setOwner(of: 7, to: RedisEndpoint(host: "b", port: 2))
        #expect(map?.owner(of: 7) == RedisEndpoint(host: "b", port: 2))
        #expect(map?.owner(of: 8) == RedisEndpoint(host: "a", port: 1))
        map?.setOwner(of: 7, to: RedisEndpoint(host: "a", port: 1))
        #expect(map?.owner(of: 7) == RedisEndpoint(host: "a", port: 1))
    }

    @Test("A redirection names slot and server; anything else is none")
    func redirections() {
        let asked = RedisEndpoint(host: "seed", port: 9)
        #expect(Redirection("MOVED 3999 127.0.0.1:6381")?.endpoint(from: nil)?.port == 6381)
        #expect(Redirection("ASK 1 ::1:7000")?.endpoint(from: nil) == RedisEndpoint(host: "::1", port: 7000))
        #expect(Redirection("MOVED 1 :6381")?.endpoint(from: asked) == RedisEndpoint(host: "seed", port: 6381))
        #expect(Redirection("MOVED 16384 a:1") == nil)
        #expect(Redirection("MOVED 1 a") == nil)
        #expect(Redirection("MOVED") == nil)
    }
}
