import EngineIO
package import NIOCore

extension ClusterMessage {
    private static let version: UInt8 = 2

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
            out.write(packet)
        case .join(let rooms):
            out.writeInteger(UInt8(2))
            out.writeTexts(rooms)
        case .leave(let rooms):
            out.writeInteger(UInt8(3))
            out.writeTexts(rooms)
        case .disconnect(let close):
            out.writeInteger(UInt8(close ? 5 : 4))
        case .serverSide(let name, let arguments):
            out.writeInteger(UInt8(6))
            out.writeText(name)
            out.write(arguments)
        case .missed:
            out.writeInteger(UInt8(7))
        case .ask(let id, let request):
            out.writeInteger(UInt8(8))
            out.writeInteger(id)
            out.write(request)
        case .answer(let id, let answer, let isLast):
            out.writeInteger(UInt8(isLast ? 10 : 9))
            out.writeInteger(id)
            out.write(answer)
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
        case 0, 1: return bytes.readPacket().map { .broadcast($0, isVolatile: kind == 1) }
        case 2: return bytes.readTexts().map { .join($0) }
        case 3: return bytes.readTexts().map { .leave($0) }
        case 4, 5: return .disconnect(close: kind == 5)
        case 6:
            guard let name = bytes.readText(), let arguments = bytes.readValues() else { return nil }
            return .serverSide(name, arguments)
        case 7: return .missed
        case 8:
            guard let id = bytes.readInteger(as: UInt64.self), id < 1 << 53, let request = bytes.readRequest() else {
                return nil
            }
            return .ask(id: id, request)
        case 9, 10:
            guard let id = bytes.readInteger(as: UInt64.self), let answer = bytes.readAnswer() else { return nil }
            return .answer(id: id, answer, isLast: kind == 10)
        default: return nil
        }
    }
}
