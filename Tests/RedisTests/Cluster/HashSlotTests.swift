import NIOCore
import Testing

@testable import Redis

struct HashSlotTests {
    @Test("A key's slot is what CLUSTER KEYSLOT says")
    func vectors() {
        // The first is the specification's own.
        #expect(HashSlot.of("123456789") == 0x31C3)
        #expect(HashSlot.of("foo") == 12_182)
        #expect(HashSlot.of("") == 0)
    }

    @Test("The part between the first brace and the next decides, unless it is empty")
    func tags() {
        #expect(HashSlot.of("{user1000}.following") == HashSlot.of("user1000"))
        #expect(HashSlot.of("hf:{event:1}:a") == HashSlot.of("{event:1}}b{x}"))
        #expect(HashSlot.of("foo{}{bar}") != HashSlot.of("bar"))
        #expect(HashSlot.of("foo{{bar}}zap") == HashSlot.of("{bar"))
        #expect(HashSlot.of(RedisArgument(bytes: Array("a{foo}".utf8))) == HashSlot.of("foo"))
        #expect(HashSlot.of(RedisArgument(ByteBuffer(string: "{foo}"))) == HashSlot.of("foo"))
        #expect(HashSlot.isSharded("hf:{event:1}:messages"))
        #expect(!HashSlot.isSharded("hf:sessions:ended"))
        #expect(!HashSlot.isSharded("a{}b") && !HashSlot.isSharded("a}b{"))
    }

    @Test("A command goes by its keys, a script by the keys it is given, and any node answers the others")
    func commands() throws {
        let slot = HashSlot.of("{a}")
        #expect(try RedisCommand("GET", "x{a}").slot == slot)
        #expect(try RedisCommand("DEL", "x{a}", "y{a}").slot == slot)
        #expect(try RedisCommand("EVALSHA", "sha", "2", "{a}1", "{a}2", "other").slot == slot)
        #expect(try RedisCommand("XINFO", "STREAM", "{a}").slot == slot)
        #expect(try RedisCommand.publish("m", to: "c{a}").slot == slot)
        #expect(RedisCommand.publish("m", to: "c").name == "PUBLISH")
        #expect(try RedisCommand("EVAL", "return 1", "0", "arg").slot == nil)
        #expect(try RedisCommand("PING").slot == nil)
    }

    @Test("A command without keys goes along with the next that has some, or with the last")
    func keyless() throws {
        let (ping, a, b) = (RedisCommand("PING"), RedisCommand("GET", "a"), RedisCommand("GET", "b"))
        let (slotA, slotB) = (HashSlot.of("a"), HashSlot.of("b"))
        #expect(try RedisCluster.slots(of: [ping, a, ping, b, ping]) == [slotA, slotA, slotB, slotB, slotB])
        #expect(try RedisCluster.slots(of: [ping, ping]) == [0, 0])
    }

    @Test(
        "Keys of several slots and commands of no use in a cluster are refused before anything is sent",
        arguments: [
            RedisCommand("DEL", "a", "b"), RedisCommand("EVAL", "s", "2", "a", "b"), RedisCommand("EVAL", "s", "x"),
            RedisCommand("EVAL", "s", "3", "a"), RedisCommand("MULTI"), RedisCommand("WATCH", "a"),
        ]
    )
    func refused(_ command: RedisCommand) {
        let error = #expect(throws: RedisError.self) { try command.slot }
        #expect(error?.code == .invalidRequest)
    }
}
