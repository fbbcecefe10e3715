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
    private static let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in Self.alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()

    package static func encode(_ bytes: ByteBuffer, into out: inout ByteBuffer) {
        var group: UInt32 = 0
        var count = 0
        out.reserveCapacity(minimumWritableBytes: (bytes.readableBytes + 2) / 3 * 4)
        for byte in bytes.readableBytesView {
            group = group << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for shift in [18, 12, 6, 0] { out.writeInteger(Self.alphabet[Int(group >> UInt32(shift)) & 63]) }
                group = 0
                count = 0
            }
        }
        guard count > 0 else { return }
        group <<= UInt32((3 - count) * 8)
        out.writeInteger(Self.alphabet[Int(group >> 18) & 63])
        out.writeInteger(Self.alphabet[Int(group >> 12) & 63])
        out.writeInteger(count == 2 ? Self.alphabet[Int(group >> 6) & 63] : 0x3D)
        out.writeInteger(UInt8(0x3D))
    }

    /// - Throws: ``PacketError`` for a length that is no multiple of four, a character outside the alphabet,
    ///   padding elsewhere than at the end.
    package static func decode(_ text: ByteBuffer) throws(PacketError) -> ByteBuffer {
        let view = text.readableBytesView
        guard view.count % 4 == 0 else { throw PacketError(.malformed, "Engine.IO: base64 is cut short") }
        let padding = view.suffix(2).reversed().prefix { $0 == 0x3D }.count
        var out = ByteBufferAllocator().buffer(capacity: view.count / 4 * 3)
        var group: UInt32 = 0
        var count = 0
        for character in view.dropLast(padding) {
            let value = Self.values[Int(character)]
            guard value != 0xFF else { throw PacketError(.malformed, "Engine.IO: not base64") }
            group = group << 6 | UInt32(value)
            count += 1
            if count == 4 {
                out.writeInteger(UInt8(truncatingIfNeeded: group >> 16))
                out.writeInteger(UInt8(truncatingIfNeeded: group >> 8))
                out.writeInteger(UInt8(truncatingIfNeeded: group))
                group = 0
                count = 0
            }
        }
        if count == 2 {
            out.writeInteger(UInt8(truncatingIfNeeded: group >> 4))
        } else if count == 3 {
            out.writeInteger(UInt8(truncatingIfNeeded: group >> 10))
            out.writeInteger(UInt8(truncatingIfNeeded: group >> 2))
        }
        return out
    }
}
