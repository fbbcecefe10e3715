import EngineIO
import NIOCore

/// A broadcast with its number, as it was sent and as it may have to be sent again.
package struct RecoverableMessage: Sendable {
    package let epoch: String
    /// Its place among the namespace's broadcasts.
    package let number: Int
    /// With the offset as its last argument.
    package let packet: EncodedPacket
    package let rooms: [String]
    package let except: [String]

    package init(
        epoch: String,
        number: Int,
        packet: EncodedPacket,
        rooms: [String],
        except: [String]
    ) {
        self.epoch = epoch
        self.number = number
        self.packet = packet.appending(offset: RecoveryOffset.text(epoch: epoch, broadcast: number))
        self.rooms = rooms
        self.except = except
    }

    var size: Int { self.packet.size }

    /// Whether it was for a socket that was in rooms since the numbers given.
    ///
    /// - Parameters:
    ///   - start: the last broadcast before the socket came.
    ///   - stays: for each of its rooms, the last broadcast before it joined.
    package func isFor(sid: String, since start: Int, stays: [String: Int]) -> Bool {
        guard self.number > start else { return false }
        func wasIn(_ room: String) -> Bool { room == sid || stays[room].map { $0 < self.number } ?? false }
        return (self.rooms.isEmpty || self.rooms.contains(where: wasIn)) && !self.except.contains(where: wasIn)
    }
}

extension EncodedPacket {
    /// The event with one more argument behind its others, a text that needs no escapes.
    package func appending(offset: String) -> EncodedPacket {
        // The type's digit in front is written by the builder, the bracket at the end by us.
        let payload = self.text.payload
        var builder = EngineMessageBuilder(.message, capacity: payload.readableBytes + offset.utf8.count + 4)
        if let inner = payload.getSlice(at: payload.readerIndex + 1, length: payload.readableBytes - 2) {
            builder.bytes.writeImmutableBuffer(inner)
        }
        builder.bytes.writeStaticString(",\"")
        builder.bytes.writeString(offset)
        builder.bytes.writeStaticString("\"]")
        return EncodedPacket(text: builder.finish(), attachments: self.attachments)
    }

    var size: Int { self.attachments.reduce(self.text.frame.readableBytes) { $0 + $1.frame.readableBytes } }
}
