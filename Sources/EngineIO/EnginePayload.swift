import FoundationEssentials
package import NIOCore

/// The body of a long-polling request or answer: several packets in a row.
///
/// - Shape: packets joined by the record separator, `0x1E`; binary packets are `b` then base64.
/// - Source: Engine.IO protocol 4, "Packet encoding", "HTTP long-polling".
package enum EnginePayload {
    package static let separator: UInt8 = 0x1E
    static let binaryMark: UInt8 = 0x62

    /// Splits a long-polling body into packets.
    ///
    /// - Bounds: `body` is at most `maxPayload` bytes, checked by the caller; at most `maxPackets` packets.
    /// - Throws: ``PacketError`` at the first malformed packet; earlier packets are dropped with it.
    package static func decode(_ body: ByteBuffer, maxPackets: Int = 10_000) throws(PacketError) -> [EnginePacket] {
        var rest = body
        var packets: [EnginePacket] = []
        repeat {
            guard packets.count < maxPackets else {
                throw PacketError(.tooLarge, "Engine.IO: more than \(maxPackets) packets in a payload")
            }
            let end = rest.readableBytesView.firstIndex(of: Self.separator)
            let length = end.map { $0 - rest.readerIndex } ?? rest.readableBytes
            guard var packet = rest.readSlice(length: length) else {
                throw PacketError(.malformed, "Engine.IO: truncated payload")
            }
            if packet.readableBytesView.first == Self.binaryMark {
                packet.moveReaderIndex(forwardBy: 1)
                packets.append(.binary(try Base64.decode(packet)))
            } else {
                packets.append(try EnginePacket(text: packet))
            }
            if end == nil { return packets }
            rest.moveReaderIndex(forwardBy: 1)
        } while true
    }

    /// Appends one message to a payload, with a separator before all but the first.
    package static func append(_ message: EngineMessage, to body: inout ByteBuffer) {
        if body.readableBytes > 0 { body.writeInteger(Self.separator) }
        if message.isBinary {
            body.writeInteger(Self.binaryMark)
            Base64.encode(message.payload, into: &body)
        } else {
            body.writeImmutableBuffer(message.payload)
        }
    }
}

/// Standard base64 with padding, over buffers; strict on input.
///
/// - Source: RFC 4648, section 4.
package enum Base64 {
    package static func encode(_ bytes: ByteBuffer, into out: inout ByteBuffer) {
        out.writeBytes(Data(bytes.readableBytesView).base64EncodedData())
    }

    /// - Throws: ``PacketError`` for a length that is no multiple of four, a character outside the alphabet,
    ///   padding elsewhere than at the end.
    package static func decode(_ text: ByteBuffer) throws(PacketError) -> ByteBuffer {
        let padding = text.readableBytesView.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2, let data = Data(base64Encoded: Data(text.readableBytesView)) else {
            throw PacketError(.malformed, "Engine.IO: not base64")
        }
        return ByteBuffer(bytes: data)
    }
}
