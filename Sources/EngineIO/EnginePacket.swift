package import NIOCore

/// The type of an Engine.IO packet: one ASCII digit before its data.
///
/// - Source: Engine.IO protocol 4, "Packet types".
package enum EnginePacketType: UInt8, Sendable {
    case open = 0x30
    case close = 0x31
    case ping = 0x32
    case pong = 0x33
    case message = 0x34
    case upgrade = 0x35
    case noop = 0x36
}

/// One Engine.IO packet as it came from a peer.
package enum EnginePacket: Equatable, Sendable {
    case open(ByteBuffer)
    case close
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    case text(ByteBuffer)
    case binary(ByteBuffer)
    case upgrade
    case noop

    /// Reads a packet that arrived as text: a type digit, then data.
    ///
    /// - Bounds: the caller bounded `bytes` by `maxPayload` and checked that it is UTF-8.
    /// - Throws: ``PacketError`` for an empty packet or an unknown type.
    package init(text bytes: ByteBuffer) throws(PacketError) {
        var data = bytes
        guard let digit = data.readInteger(as: UInt8.self) else {
            throw PacketError(.empty, "Engine.IO: empty packet")
        }
        guard let type = EnginePacketType(rawValue: digit) else {
            throw PacketError(.unknownType, "Engine.IO: unknown packet type \(digit)")
        }
        switch type {
        case .open: self = .open(data)
        case .close: self = .close
        case .ping: self = .ping(data)
        case .pong: self = .pong(data)
        case .message: self = .text(data)
        case .upgrade: self = .upgrade
        case .noop: self = .noop
        }
    }
}

/// A packet of a peer that the protocol forbids.
///
/// `description` names the operation and the limit, never the peer's data.
package struct PacketError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        case empty
        case unknownType
        case malformed
        case tooLarge
    }

    package let code: Code
    package let message: String
    package let file: String
    package let line: Int

    /// A peer's bytes do not become right by sending them again.
    package var isRetryable: Bool { false }

    package init(_ code: Code, _ message: String, file: String = #fileID, line: Int = #line) {
        self.code = code
        self.message = message
        self.file = file
        self.line = line
    }

    package var description: String { self.message }
}
