package import EngineIO
import FoundationEssentials
package import NIOCore
import NIOFoundationCompat

/// The type of a Socket.IO packet.
///
/// - Source: Socket.IO protocol 5, "Packet types".
package enum SocketPacketType: UInt8, Sendable {
    case connect = 0x30
    case disconnect = 0x31
    case event = 0x32
    case ack = 0x33
    case connectError = 0x34
    case binaryEvent = 0x35
    case binaryAck = 0x36
}

/// One Socket.IO packet of a peer, checked byte by byte; its data are still the bytes that came.
///
/// - Shape: `<type>[<attachments>-][<namespace>,][<acknowledgement id>][<JSON>]`.
/// - Bounds: at most 10 attachments; a namespace of 512 bytes; the id at most 2^53, as JavaScript counts; JSON as ``JSONScanner`` bounds it.
/// - Source: Socket.IO protocol 5, "Packet encoding".
package struct SocketPacket: Sendable {
    /// Whose packet it is: a CONNECT_ERROR comes from servers only.
    package enum Sender: Sendable { case client, server }

    static let maxAttachments = 10
    /// Bytes of a namespace's name; patterns are asked about no longer ones.
    static let maxNamespaceLength = 512
    /// Names that applications give a meaning of their own; a client must not forge them.
    static let reservedNames: Set<String> = [
        "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
    ]

    package let type: SocketPacketType
    package private(set) var namespace = "/"
    package private(set) var id: Int?
    /// How many binary frames follow.
    package private(set) var attachmentCount = 0
    /// The whole text; `data` and `elements` lie in it, counted from its reader index.
    let text: ByteBuffer
    package private(set) var data: Range<Int>?
    /// Events and acknowledgements: where each element of the array lies.
    package private(set) var elements: [Range<Int>] = []
    /// Events: the first element.
    package private(set) var name = ""
    /// The largest number of a placeholder, and how many there are.
    private var largestPlaceholder = -1
    private var placeholderCount = 0
    private let maxJSONDepth: Int
    private let sender: Sender

    /// - Throws: ``PacketError`` for anything the protocol does not know; the connection must then end.
    package init(_ text: ByteBuffer, maxJSONDepth: Int = 16, from sender: Sender = .client) throws(PacketError) {
        guard let first = text.readableBytesView.first, let type = SocketPacketType(rawValue: first) else {
            throw PacketError(.unknownType, "Socket.IO: unknown packet type")
        }
        let result: Result<Self, PacketError> = text.withUnsafeReadableBytes { bytes in
            var packet = Self(type: type, text: text, maxJSONDepth: maxJSONDepth, sender: sender)
            do throws(PacketError) {
                try packet.read(bytes)
                return .success(packet)
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    private init(type: SocketPacketType, text: ByteBuffer, maxJSONDepth: Int, sender: Sender) {
        self.maxJSONDepth = maxJSONDepth
        self.sender = sender
        self.type = type
        self.text = text
    }

    package func slice(_ range: Range<Int>) -> ByteBuffer {
        self.text.getSlice(at: self.text.readerIndex + range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) throws(PacketError) {
        var index = 1
        if self.type == .binaryEvent || self.type == .binaryAck {
            guard let count = Self.number(bytes, &index, below: 1_000), index < bytes.count, bytes[index] == 0x2D else {
                throw PacketError(.malformed, "Socket.IO: attachments are not counted")
            }
            guard count <= Self.maxAttachments else {
                throw PacketError(.tooLarge, "Socket.IO: more than \(Self.maxAttachments) attachments")
            }
            self.attachmentCount = count
            index += 1
        }
        if index < bytes.count, bytes[index] == 0x2F {
            let end = bytes[index...].firstIndex(of: 0x2C) ?? bytes.count
            guard end - index <= Self.maxNamespaceLength else {
                throw PacketError(.tooLarge, "Socket.IO: a namespace is longer than \(Self.maxNamespaceLength) bytes")
            }
            self.namespace = String(decoding: bytes[index..<end], as: UTF8.self)
            // A query behind a namespace was allowed once; the name alone counts.
            if let mark = self.namespace.firstIndex(of: "?") { self.namespace = String(self.namespace[..<mark]) }
            index = min(end + 1, bytes.count)
        }
        if index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            guard let id = Self.number(bytes, &index, below: 1 << 53) else {
                throw PacketError(.malformed, "Socket.IO: acknowledgement id is out of range")
            }
            self.id = id
        }
        if index < bytes.count { self.data = index..<bytes.count }
        try self.readData(bytes)
    }

    private mutating func readData(_ bytes: UnsafeRawBufferPointer) throws(PacketError) {
        switch self.type {
        case .disconnect:
            guard self.data == nil else { throw PacketError(.malformed, "Socket.IO: DISCONNECT carries data") }
        case .connect:
            guard let data = self.data else { return }
            guard bytes[data.lowerBound] == 0x7B else {
                throw PacketError(.malformed, "Socket.IO: CONNECT carries no object")
            }
            _ = try self.scan(bytes, data) { (scanner: inout JSONScanner) throws(JSONSyntaxError) in
                try scanner.skipValue()
                return []
            }
        case .connectError:
            guard self.sender == .server else {
                throw PacketError(.malformed, "Socket.IO: CONNECT_ERROR from a client")
            }
            guard let data = self.data else { return }
            _ = try self.scan(bytes, data) { (scanner: inout JSONScanner) throws(JSONSyntaxError) in
                try scanner.skipValue()
                return []
            }
        case .event, .binaryEvent, .ack, .binaryAck:
            guard let data = self.data, bytes[data.lowerBound] == 0x5B else {
                throw PacketError(.malformed, "Socket.IO: an array is missing")
            }
            self.elements = try self.scan(bytes, data) { (scanner: inout JSONScanner) throws(JSONSyntaxError) in
                var elements: [Range<Int>] = []
                elements.reserveCapacity(4)
                try scanner.skipArray { _, range in elements.append(range) }
                return elements
            }
            // One attachment in many places would be sent many times when the arguments are passed on.
            guard self.largestPlaceholder < self.attachmentCount, self.placeholderCount <= self.attachmentCount else {
                throw PacketError(.malformed, "Socket.IO: a placeholder is out of range")
            }
            if self.type == .event || self.type == .binaryEvent { try self.readName(bytes) }
        }
    }

    private mutating func scan(
        _ bytes: UnsafeRawBufferPointer,
        _ data: Range<Int>,
        _ body: (inout JSONScanner) throws(JSONSyntaxError) -> [Range<Int>]
    ) throws(PacketError) -> [Range<Int>] {
        let isBinary = self.type == .binaryEvent || self.type == .binaryAck
        var scanner = JSONScanner(
            bytes,
            from: data.lowerBound,
            findsPlaceholders: isBinary,
            maxDepth: self.maxJSONDepth
        )
        let elements: [Range<Int>]
        do {
            elements = try body(&scanner)
        } catch {
            throw PacketError(.malformed, "Socket.IO: \(error)")
        }
        scanner.skipBlanks()
        guard scanner.isAtEnd else { throw PacketError(.malformed, "Socket.IO: something follows the data") }
        for placeholder in scanner.placeholders {
            guard let number = placeholder.number, number >= 0 else {
                throw PacketError(.malformed, "Socket.IO: a placeholder has no number")
            }
            self.largestPlaceholder = max(self.largestPlaceholder, number)
            self.placeholderCount += 1
        }
        return elements
    }

    private mutating func readName(_ bytes: UnsafeRawBufferPointer) throws(PacketError) {
        guard let range = self.elements.first else { throw PacketError(.malformed, "Socket.IO: an event has no name") }
        switch bytes[range.lowerBound] {
        case 0x22:
            let inner = bytes[(range.lowerBound + 1)..<(range.upperBound - 1)]
            if inner.contains(0x5C) {
                guard let name = try? RawJSON.decoder.decode(String.self, from: self.slice(range)) else {
                    throw PacketError(.malformed, "Socket.IO: an event's name is no text")
                }
                self.name = name
            } else {
                self.name = String(decoding: inner, as: UTF8.self)
            }
        case 0x2D, 0x30...0x39:
            self.name = String(decoding: bytes[range], as: UTF8.self)
        default:
            throw PacketError(.malformed, "Socket.IO: an event's name is neither text nor number")
        }
        guard !Self.isReserved(self.name) else {
            throw PacketError(.malformed, "Socket.IO: an event's name is reserved")
        }
    }

    /// The first letter decides nearly always, and saves a hash for each event.
    private static func isReserved(_ name: String) -> Bool {
        switch name.utf8.first {
        case UInt8(ascii: "c"), UInt8(ascii: "d"), UInt8(ascii: "n"), UInt8(ascii: "r"):
            Self.reservedNames.contains(name)
        default: false
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ index: inout Int, below limit: Int) -> Int? {
        var value = 0
        let start = index
        while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
            value = value * 10 + Int(bytes[index] - 0x30)
            if value >= limit { return nil }
            index += 1
        }
        return index == start ? nil : value
    }
}
