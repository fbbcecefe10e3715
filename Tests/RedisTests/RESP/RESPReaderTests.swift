import NIOCore
import TestSupport
import Testing

@testable import Redis

struct RESPReaderTests {
    private static let wire =
        "+OK\r\n:-42\r\n$5\r\nh\r\nlo\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n-ERR no\r\n"
        + "*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n$-1\r\n"

    private static let values: [RESPValue] = [
        .simpleString("OK"), .integer(-42), .bulk(ByteBuffer(string: "h\r\nlo")), .null, .null, .array([]),
        .bulk(ByteBuffer()), .error("ERR no"),
        .array([.integer(1), .array([.bulk(ByteBuffer(string: "a")), .array([])]), .null]),
    ]

    private func read(_ parts: [ByteBuffer], limits: RESPReader.Limits = .init()) throws -> [RESPValue] {
        var reader = RESPReader(limits: limits)
        var values: [RESPValue] = []
        for part in parts {
            try reader.feed(part)
            while let value = try reader.next() { values.append(value) }
        }
        return values
    }

    @Test("Replies are the same wherever the bytes are split")
    func everySplit() throws {
        let bytes = Array(Self.wire.utf8)
        #expect(try read([ByteBuffer(bytes: bytes)]) == Self.values)
        #expect(try read(bytes.map { ByteBuffer(bytes: [$0]) }) == Self.values)
        for index in bytes.indices {
            let parts = [ByteBuffer(bytes: bytes[..<index]), ByteBuffer(bytes: bytes[index...])]
            #expect(try read(parts) == Self.values, "split at \(index)")
        }
    }

    @Test(
        "Bytes that are no reply are an error, now and ever after",
        arguments: [
            "HTTP/1.1 200 OK\r\n", "$abc\r\n", "*2147483648\r\n", "*-2\r\n", ":12x\r\n", "$-5\r\n", "\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "*2000000\r\n", "$99999999999999999999\r\n",
        ]
    )
    func malformed(_ text: String) throws {
        var reader = RESPReader()
        try reader.feed(ByteBuffer(string: text))
        #expect(throws: RedisError.self) { try reader.next() }
        #expect(throws: RedisError.self) {
            try reader.feed(ByteBuffer(string: "+OK\r\n"))
            _ = try reader.next()
        }
    }

    @Test("A reply longer than the limit is an error before it is whole")
    func tooLong() throws {
        let limits = RESPReader.Limits(maxReplyBytes: 100, maxElements: 10)
        #expect(throws: RedisError.self) {
            try read([ByteBuffer(string: "$1000\r\n" + String(repeating: "x", count: 100))], limits: limits)
        }
        #expect(throws: RedisError.self) { try read([ByteBuffer(string: "*11\r\n")], limits: limits) }
        #expect(throws: RedisError.self) {
            try read([ByteBuffer(string: "+" + String(repeating: "x", count: 101))], limits: limits)
        }
    }

    @Test("Many small replies may exceed together what one may not")
    func manySmall() throws {
        let limits = RESPReader.Limits(maxReplyBytes: 16, maxElements: 10)
        let values = try read([ByteBuffer(string: String(repeating: ":7\r\n", count: 1000) + ":")], limits: limits)
        #expect(values.count == 1000)
    }

    @Test("Random bytes never crash the reader")
    func noise() throws {
        var generator = SeededGenerator(seed: 7)
        let alphabet = Array("+-:$*0123456789\r\nab".utf8)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                alphabet[Int.random(in: alphabet.indices, using: &generator)]
            }
            _ = try? read([ByteBuffer(bytes: bytes)])
        }
    }
}
