package import NIOCore

/// One argument of a command: bytes, whatever they mean to Redis.
package struct RedisArgument: Sendable, Equatable, ExpressibleByStringLiteral {
    enum Storage: Sendable, Equatable {
        case text(String)
        case buffer(ByteBuffer)
        case bytes([UInt8])
    }

    let storage: Storage

    package init(_ text: String) {
        storage = .text(text)
    }

    package init(_ number: some BinaryInteger) {
        storage = .text(String(number))
    }

    package init(_ buffer: ByteBuffer) {
        storage = .buffer(buffer)
    }

    package init(bytes: [UInt8]) {
        storage = .bytes(bytes)
    }

    package init(stringLiteral value: String) {
        self.init(value)
    }

    var count: Int {
        switch storage {
        case .text(let text): text.utf8.count
        case .buffer(let buffer): buffer.readableBytes
        case .bytes(let bytes): bytes.count
        }
    }

    func write(to buffer: inout ByteBuffer) {
        switch storage {
        case .text(let text): buffer.writeString(text)
        case .buffer(let source): buffer.writeImmutableBuffer(source)
        case .bytes(let bytes): buffer.writeBytes(bytes)
        }
    }
}

/// One command: its name, such as `HGET`, and its arguments in order.
package struct RedisCommand: Sendable, Equatable {
    package let name: String
    package let arguments: [RedisArgument]

    package init(_ name: String, _ arguments: RedisArgument...) {
        self.init(name, arguments: arguments)
    }

    package init(_ name: String, arguments: [RedisArgument]) {
        self.name = name
        self.arguments = arguments
    }
}
