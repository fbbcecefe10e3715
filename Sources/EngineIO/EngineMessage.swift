package import NIOCore

/// One outbound Engine.IO packet, encoded once and written to as many connections as need it.
///
/// The bytes are a complete WebSocket frame of a server (unmasked). Long-polling takes the same bytes without the
/// frame's header. A broadcast to a thousand sockets therefore holds one buffer, however they are connected.
package struct EngineMessage: Sendable, Equatable {
    /// The whole WebSocket frame.
    package let frame: ByteBuffer
    /// A binary frame: on long-polling it travels as base64.
    package let isBinary: Bool

    /// The packet without the frame's header: type digit and data, or the bytes of a binary message.
    package var payload: ByteBuffer {
        var payload = self.frame
        let second = payload.getInteger(at: payload.readerIndex + 1, as: UInt8.self) ?? 0
        payload.moveReaderIndex(forwardBy: second < 126 ? 2 : second == 126 ? 4 : 10)
        return payload
    }

    fileprivate init(frame: ByteBuffer, isBinary: Bool) {
        self.frame = frame
        self.isBinary = isBinary
    }

    /// A text packet: the type's digit, then `data`.
    package init(_ type: EnginePacketType, data: some Sequence<UInt8> = EmptyCollection<UInt8>()) {
        var builder = EngineMessageBuilder(type)
        builder.bytes.writeBytes(data)
        self = builder.finish()
    }

    /// A binary message.
    package init(binary data: ByteBuffer) {
        var builder = EngineMessageBuilder(binaryCapacity: data.readableBytes)
        builder.bytes.writeImmutableBuffer(data)
        self = builder.finish()
    }

    /// A text message: `4`, then `text`, which must be UTF-8.
    package init(text: ByteBuffer) {
        var builder = EngineMessageBuilder(.message, capacity: text.readableBytes)
        builder.bytes.writeImmutableBuffer(text)
        self = builder.finish()
    }
}

/// Writes a packet's data behind room for the frame's header, so that nothing has to be moved afterwards.
package struct EngineMessageBuilder {
    /// The longest header of a server's frame: two bytes and a 64-bit length.
    private static let headerRoom = 10

    /// Append the packet's data here; never move the reader index.
    package var bytes: ByteBuffer
    private let isBinary: Bool

    package init(_ type: EnginePacketType, capacity: Int = 118) {
        self.bytes = ByteBufferAllocator().buffer(capacity: Self.headerRoom + 1 + capacity)
        self.bytes.writeRepeatingByte(0, count: Self.headerRoom)
        self.bytes.writeInteger(type.rawValue)
        self.isBinary = false
    }

    package init(binaryCapacity: Int) {
        self.bytes = ByteBufferAllocator().buffer(capacity: Self.headerRoom + binaryCapacity)
        self.bytes.writeRepeatingByte(0, count: Self.headerRoom)
        self.isBinary = true
    }

    /// Puts the header in front of the data.
    package consuming func finish() -> EngineMessage {
        self.writeHeader(self.isBinary ? 0x82 : 0x81)
        return EngineMessage(frame: self.bytes, isBinary: self.isBinary)
    }

    /// The frame of a compressed message, whose data are deflated already: RSV1 is set.
    ///
    /// - Source: RFC 7692, section 6.
    package consuming func finishCompressed(isBinary: Bool) -> ByteBuffer {
        self.writeHeader(isBinary ? 0xC2 : 0xC1)
        return self.bytes
    }

    private mutating func writeHeader(_ first: UInt8) {
        let length = self.bytes.writerIndex - Self.headerRoom
        if length < 126 {
            self.bytes.setInteger(first, at: 8)
            self.bytes.setInteger(UInt8(length), at: 9)
            self.bytes.moveReaderIndex(to: 8)
        } else if length <= 0xFFFF {
            self.bytes.setInteger(first, at: 6)
            self.bytes.setInteger(UInt8(126), at: 7)
            self.bytes.setInteger(UInt16(length), at: 8)
            self.bytes.moveReaderIndex(to: 6)
        } else {
            self.bytes.setInteger(first, at: 0)
            self.bytes.setInteger(UInt8(127), at: 1)
            self.bytes.setInteger(UInt64(length), at: 2)
        }
    }
}
