import EngineIO
package import NIOCore

extension ClusterMessage {
    private static let version: UInt8 = 1

    package func encode() -> ByteBuffer {
        var out = ByteBufferAllocator().buffer(capacity: 256)
        out.writeInteger(Self.version)
        out.writeText(self.node)
        out.writeText(self.namespace)
        out.writeTexts(self.rooms)
        out.writeTexts(self.except)
        switch self.operation {
        case .broadcast(let packet, let isVolatile):
            out.writeInteger(UInt8(isVolatile ? 1 : 0))
            out.writeInteger(UInt16(packet.attachments.count))
            out.writeBlob(packet.text.payload)
            for attachment in packet.attachments { out.writeBlob(attachment.payload) }
        case .join(let rooms):
            out.writeInteger(UInt8(2))
            out.writeTexts(rooms)
        case .leave(let rooms):
            out.writeInteger(UInt8(3))
            out.writeTexts(rooms)
        case .disconnect(let close):
            out.writeInteger(UInt8(close ? 5 : 4))
        }
        return out
    }

    /// Reads a message of another node; `nil` for anything that is not one.
    package init?(decoding bytes: ByteBuffer) {
        var bytes = bytes
        guard bytes.readInteger(as: UInt8.self) == Self.version, let node = bytes.readText(),
            let namespace = bytes.readText(), let rooms = bytes.readTexts(), let except = bytes.readTexts(),
            let kind = bytes.readInteger(as: UInt8.self), let operation = Self.operation(kind, &bytes),
            bytes.readableBytes == 0
        else { return nil }
        self.init(node: node, namespace: namespace, rooms: rooms, except: except, operation: operation)
    }

    private static func operation(_ kind: UInt8, _ bytes: inout ByteBuffer) -> Operation? {
        switch kind {
        case 0, 1:
            guard let count = bytes.readInteger(as: UInt16.self), count <= SocketPacket.maxAttachments,
                var text = bytes.readBlob(), text.readInteger(as: UInt8.self) == EnginePacketType.message.rawValue
            else { return nil }
            var attachments: [EngineMessage] = []
            for _ in 0..<count {
                guard let attachment = bytes.readBlob() else { return nil }
                attachments.append(EngineMessage(binary: attachment))
            }
            let packet = EncodedPacket(text: EngineMessage(text: text), attachments: attachments)
            return .broadcast(packet, isVolatile: kind == 1)
        case 2: return bytes.readTexts().map { .join($0) }
        case 3: return bytes.readTexts().map { .leave($0) }
        case 4, 5: return .disconnect(close: kind == 5)
        default: return nil
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeText(_ text: String) {
        let bytes = text.utf8.prefix(Int(UInt16.max))
        self.writeInteger(UInt16(bytes.count))
        self.writeBytes(bytes)
    }

    fileprivate mutating func writeTexts(_ texts: [String]) {
        let texts = texts.prefix(Int(UInt16.max))
        self.writeInteger(UInt16(texts.count))
        for text in texts { self.writeText(text) }
    }

    fileprivate mutating func writeBlob(_ blob: ByteBuffer) {
        self.writeInteger(UInt32(blob.readableBytes))
        self.writeImmutableBuffer(blob)
    }

    fileprivate mutating func readText() -> String? {
        guard let length = self.readInteger(as: UInt16.self) else { return nil }
        return self.readString(length: Int(length))
    }

    fileprivate mutating func readTexts() -> [String]? {
        guard let count = self.readInteger(as: UInt16.self) else { return nil }
        var texts: [String] = []
        for _ in 0..<count {
            guard let text = self.readText() else { return nil }
            texts.append(text)
        }
        return texts
    }

    fileprivate mutating func readBlob() -> ByteBuffer? {
        guard let length = self.readInteger(as: UInt32.self) else { return nil }
        return self.readSlice(length: Int(length))
    }
}
