import NIOCore

/// Turns commands into the bytes that Redis reads: an array of bulk strings for each.
///
/// Commands are formatted on the caller's thread, so that event loops only move bytes. hiredis could do it, but wants each
/// argument laid out once before and copied once after: for a script with its dozen keys that costs more than the rest of
/// sending it.
///
/// - Source: "Redis serialization protocol specification", sending commands to a Redis server.
enum CommandFormatter {
    /// The bytes of one request; one of this size is a mistake.
    static let maxRequestBytes = 64 * 1024 * 1024
    /// Arguments of one command. Redis itself refuses more than 1,048,576.
    static let maxArguments = 1_000_000

    /// The commands one after another, ready for the wire.
    ///
    /// - Throws: ``RedisError/Code/invalidRequest`` past a bound; nothing was sent.
    static func format(_ commands: [RedisCommand]) throws(RedisError) -> ByteBuffer {
        var sizes = 0
        for command in commands {
            // Around each argument: a marker, its length and two line ends.
            sizes += 32 + command.name.utf8.count
            for argument in command.arguments { sizes += argument.count + 12 }
            guard sizes <= maxRequestBytes, command.arguments.count < maxArguments else {
                throw RedisError(.invalidRequest, "\(command.name): a request is at most \(maxRequestBytes) bytes")
            }
        }
        var output = ByteBuffer()
        output.reserveCapacity(sizes)
        for command in commands {
            write(UInt8(ascii: "*"), command.arguments.count + 1, to: &output)
            write(UInt8(ascii: "$"), command.name.utf8.count, to: &output)
            output.writeString(command.name)
            output.writeStaticString("\r\n")
            for argument in command.arguments {
                write(UInt8(ascii: "$"), argument.count, to: &output)
                argument.write(to: &output)
                output.writeStaticString("\r\n")
            }
        }
        return output
    }

    private static func write(_ marker: UInt8, _ count: Int, to output: inout ByteBuffer) {
        // A short number is a string without memory of its own.
        output.writeInteger(marker)
        output.writeString(String(count))
        output.writeStaticString("\r\n")
    }
}
