import NIOCore
import Testing

@testable import Redis

struct CommandFormatterTests {
    @Test("A command is an array of bulk strings, whatever its arguments hold")
    func format() throws {
        let command = RedisCommand(
            "SET",
            RedisArgument("ключ"),
            RedisArgument(bytes: [0, 13, 10]),
            RedisArgument(""),
            RedisArgument(-7),
            RedisArgument(ByteBuffer(string: "b"))
        )
        let bytes = try CommandFormatter.format([command, RedisCommand("PING")])
        let expected =
            "*6\r\n$3\r\nSET\r\n$8\r\nключ\r\n$3\r\n\u{0}\r\n\r\n$0\r\n\r\n$2\r\n-7\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n"
        #expect(String(buffer: bytes) == expected)
    }

    @Test("A request past the bound is refused and was not sent")
    func tooLarge() throws {
        let argument = RedisArgument(bytes: [UInt8](repeating: 0, count: CommandFormatter.maxRequestBytes))
        let error = #expect(throws: RedisError.self) { try CommandFormatter.format([RedisCommand("SET", argument)]) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.mayHaveRun == false)
    }
}
