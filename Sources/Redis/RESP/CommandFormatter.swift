import CHiredis
import NIOCore

/// Turns commands into the bytes that Redis reads, with hiredis' formatter.
///
/// Commands are formatted on the caller's thread, so that event loops only move bytes.
enum CommandFormatter {
    /// The bytes of one request. hiredis counts them in a C `int`, and a request of this size is a mistake anyway.
    static let maxRequestBytes = 64 * 1024 * 1024
    /// Arguments of one command. Redis itself refuses more than 1,048,576.
    static let maxArguments = 1_000_000

    /// The commands one after another, ready for the wire.
    ///
    /// - Throws: ``RedisError/Code/invalidRequest`` past a bound; nothing was sent.
    static func format(_ commands: [RedisCommand]) throws(RedisError) -> ByteBuffer {
        var output = ByteBuffer()
        for command in commands {
            try append(command, to: &output)
        }
        return output
    }

    static func append(_ command: RedisCommand, to output: inout ByteBuffer) throws(RedisError) {
        var total = command.name.utf8.count
        for argument in command.arguments { total += argument.count }
        guard output.readableBytes + total <= maxRequestBytes, command.arguments.count < maxArguments else {
            throw RedisError(.invalidRequest, "\(command.name): a request is at most \(maxRequestBytes) bytes")
        }
        // hiredis wants a pointer per argument. Laid end to end in one buffer they cost one allocation in all;
        // the closing zero keeps the buffer's address real when every argument is empty.
        var scratch = ByteBuffer()
        scratch.reserveCapacity(total + 1)
        var lengths: [Int] = []
        lengths.reserveCapacity(command.arguments.count + 1)
        scratch.writeString(command.name)
        lengths.append(scratch.readableBytes)
        for argument in command.arguments {
            argument.write(to: &scratch)
            lengths.append(argument.count)
        }
        scratch.writeInteger(UInt8(0))
        guard unsafe scratch.withUnsafeReadableBytes({ unsafe format($0, lengths, into: &output) }) else {
            throw RedisError(.invalidRequest, "\(command.name): hiredis could not format the command")
        }
    }

    private static func format(
        _ bytes: UnsafeRawBufferPointer,
        _ lengths: [Int],
        into output: inout ByteBuffer
    ) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        var pointers: [UnsafePointer<CChar>?] = unsafe []
        unsafe pointers.reserveCapacity(lengths.count)
        var offset = 0
        for length in lengths {
            unsafe pointers.append((base + offset).assumingMemoryBound(to: CChar.self))
            offset += length
        }
        var target: UnsafeMutablePointer<CChar>? = nil
        let count = unsafe redisFormatCommandArgv(&target, Int32(lengths.count), &pointers, lengths)
        guard count >= 0, let formatted = unsafe target else { return false }
        unsafe output.writeBytes(UnsafeRawBufferPointer(start: formatted, count: Int(count)))
        unsafe redisFreeCommand(formatted)
        return true
    }
}
