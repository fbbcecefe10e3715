import EngineIO
import NIOCore

/// The pieces of messages between nodes. Reading allocates nothing from a count: a list grows as it is read.
extension ByteBuffer {
    mutating func writeText(_ text: String) {
        self.writeInteger(UInt32(text.utf8.count))
        self.writeString(text)
    }

    mutating func writeTexts(_ texts: [String]) { self.writeList(texts) { $0.writeText($1) } }

    private mutating func writeBlob(_ blob: ByteBuffer) {
        self.writeInteger(UInt32(blob.readableBytes))
        self.writeImmutableBuffer(blob)
    }

    private mutating func writeList<T>(_ list: [T], _ write: (inout ByteBuffer, T) -> Void) {
        self.writeInteger(UInt32(list.count))
        for element in list { write(&self, element) }
    }

    mutating func readText() -> String? {
        guard let length = self.readInteger(as: UInt32.self) else { return nil }
        return self.readString(length: Int(length))
    }

    mutating func readTexts() -> [String]? { self.readList { $0.readText() } }

    private mutating func readBlob() -> ByteBuffer? {
        guard let length = self.readInteger(as: UInt32.self) else { return nil }
        return self.readSlice(length: Int(length))
    }

    /// Every element takes at least a byte, so that the message's length bounds the list.
    private mutating func readList<T>(_ read: (inout ByteBuffer) -> T?) -> [T]? {
        guard let count = self.readInteger(as: UInt32.self), Int(count) <= self.readableBytes else { return nil }
        var list: [T] = []
        for _ in 0..<count {
            guard let element = read(&self) else { return nil }
            list.append(element)
        }
        return list
    }

    // MARK: Packets and values

    mutating func write(_ packet: EncodedPacket) {
        self.writeBlob(packet.text.payload)
        self.writeList(packet.attachments) { $0.writeBlob($1.payload) }
    }

    mutating func readPacket() -> EncodedPacket? {
        guard var text = self.readBlob(), text.readInteger(as: UInt8.self) == EnginePacketType.message.rawValue,
            let attachments = self.readList({ $0.readBlob() })
        else { return nil }
        return EncodedPacket(
            text: EngineMessage(text: text),
            attachments: attachments.map { EngineMessage(binary: $0) }
        )
    }

    private mutating func write(_ value: RawJSON) {
        self.writeBlob(value.bytes)
        self.writeList(value.attachments) { $0.writeBlob($1) }
    }

    private mutating func readValue() -> RawJSON? {
        guard let bytes = self.readBlob(), let attachments = self.readList({ $0.readBlob() }) else { return nil }
        return RawJSON(bytes: bytes, attachments: attachments)
    }

    mutating func write(_ values: [RawJSON]) { self.writeList(values) { $0.write($1) } }
    mutating func readValues() -> [RawJSON]? { self.readList { $0.readValue() } }

    // MARK: Requests

    mutating func write(_ request: ClusterRequest) {
        switch request {
        case .counts(let rooms):
            self.writeInteger(UInt8(0))
            self.writeTexts(rooms)
        case .sockets:
            self.writeInteger(UInt8(1))
        case .emit(let packet, let timeoutMs):
            self.writeInteger(UInt8(2))
            self.write(packet)
            self.writeInteger(timeoutMs)
        case .serverSide(let name, let arguments):
            self.writeInteger(UInt8(3))
            self.writeText(name)
            self.write(arguments)
        }
    }

    mutating func readRequest() -> ClusterRequest? {
        switch self.readInteger(as: UInt8.self) {
        case 0: return self.readTexts().map { .counts($0) }
        case 1: return .sockets
        case 2:
            guard let packet = self.readPacket(), let timeoutMs = self.readInteger(as: UInt32.self) else { return nil }
            return .emit(packet, timeoutMs: timeoutMs)
        case 3:
            guard let name = self.readText(), let arguments = self.readValues() else { return nil }
            return .serverSide(name, arguments)
        default: return nil
        }
    }

    // MARK: Answers

    mutating func write(_ answer: ClusterAnswer) {
        switch answer {
        case .nothing:
            self.writeInteger(UInt8(0))
        case .counts(let counts):
            self.writeInteger(UInt8(1))
            self.writeList(counts) { $0.writeInteger($1) }
        case .sockets(let sockets, let leftOut):
            self.writeInteger(UInt8(2))
            self.writeList(sockets) { $0.write($1) }
            self.writeInteger(leftOut)
        case .acks(let values, let silent):
            self.writeInteger(UInt8(3))
            self.write(values)
            self.writeInteger(silent)
        case .serverSide(let value):
            self.writeInteger(UInt8(4))
            self.write(value)
        }
    }

    mutating func readAnswer() -> ClusterAnswer? {
        switch self.readInteger(as: UInt8.self) {
        case 0: return .nothing
        case 1: return self.readList { $0.readInteger(as: UInt32.self) }.map { .counts($0) }
        case 2:
            guard let sockets = self.readList({ $0.readSocket() }), let leftOut = self.readInteger(as: UInt32.self)
            else { return nil }
            return .sockets(sockets, leftOut: leftOut)
        case 3:
            guard let values = self.readValues(), let silent = self.readInteger(as: UInt32.self) else { return nil }
            return .acks(values, silent: silent)
        case 4: return self.readValue().map { .serverSide($0) }
        default: return nil
        }
    }

    private mutating func write(_ socket: SocketDescription) {
        self.writeText(socket.id)
        self.writeTexts(socket.rooms)
        self.writeText(socket.remoteAddress)
        self.writeInteger(UInt8(socket.isSecure ? 1 : 0))
        self.write(socket.data)
    }

    private mutating func readSocket() -> SocketDescription? {
        guard let id = self.readText(), let rooms = self.readTexts(), let address = self.readText(),
            let secure = self.readInteger(as: UInt8.self), let data = self.readValue()
        else { return nil }
        return SocketDescription(id: id, rooms: rooms, remoteAddress: address, isSecure: secure == 1, data: data)
    }
}
