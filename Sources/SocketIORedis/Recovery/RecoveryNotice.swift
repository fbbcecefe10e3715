import NIOCore
import SocketIO

/// What the recovery scripts publish, beside the messages that nodes publish themselves.
///
/// - Shape: byte 242, `<epoch>.<number>`, a line feed, an encoded ``ClusterMessage``; or byte 243, a pid, a line feed, the
///   number of the claim that has the session now.
enum RecoveryNotice {
    /// - Parameter origin: the text that its sender knows it by.
    case broadcast(RecoverableMessage, namespace: String, origin: String)
    case taken(pid: String, claim: Int)

    /// - Returns: `nil` for anything else.
    init?(_ bytes: ByteBuffer) {
        guard let first = bytes.readableBytesView.first, first == 242 || first == 243,
            let end = bytes.readableBytesView.firstIndex(of: 0x0A)
        else { return nil }
        var rest = bytes
        rest.moveReaderIndex(forwardBy: 1)
        guard let head = rest.readString(length: end - rest.readerIndex) else { return nil }
        rest.moveReaderIndex(forwardBy: 1)
        if first == 243 {
            guard let claim = Int(String(buffer: rest)) else { return nil }
            self = .taken(pid: head, claim: claim)
            return
        }
        let parts = head.split(separator: ".")
        guard parts.count == 2, let number = Int(parts[1]), number > 0,
            let found = Self.message(rest, epoch: String(parts[0]), number: number)
        else { return nil }
        self = .broadcast(found.0, namespace: found.namespace, origin: found.origin)
    }

    /// A message of a stream, as it was published.
    static func message(
        _ bytes: ByteBuffer,
        epoch: String,
        number: Int
    ) -> (RecoverableMessage, namespace: String, origin: String)? {
        guard let message = ClusterMessage(decoding: bytes), case .broadcast(let packet, _) = message.operation else {
            return nil
        }
        let numbered = RecoverableMessage(
            epoch: epoch,
            number: number,
            packet: packet,
            rooms: message.rooms,
            except: message.except
        )
        return (numbered, message.namespace, message.node)
    }

    /// The packet alone, as it was stored.
    static func packet(_ bytes: ByteBuffer) -> EncodedPacket? {
        guard case .broadcast(let packet, _)? = ClusterMessage(decoding: bytes)?.operation else { return nil }
        return packet
    }

    static func bytes(
        _ packet: EncodedPacket,
        origin: String,
        namespace: String,
        rooms: [String] = [],
        except: [String] = []
    ) -> ByteBuffer {
        ClusterMessage(
            node: origin,
            namespace: namespace,
            rooms: rooms,
            except: except,
            operation: .broadcast(packet, isVolatile: false)
        ).encode()
    }
}
