package import EngineIO
import NIOCore

/// One outbound Socket.IO packet: the text, then its attachments. Encoded once, sent to any number of sockets.
package struct EncodedPacket: Sendable, Equatable {
    package let text: EngineMessage
    package let attachments: [EngineMessage]

    package init(text: EngineMessage, attachments: [EngineMessage] = []) {
        self.text = text
        self.attachments = attachments
    }

    /// `40` with the socket's id, and the secret of its session if it may come back.
    static func connected(_ namespace: String, id: String, pid: String? = nil) -> EncodedPacket {
        var builder = Self.begin(.connect, namespace, attachments: 0, id: nil)
        builder.bytes.writeStaticString(#"{"sid":""#)
        builder.bytes.writeString(id)
        if let pid {
            builder.bytes.writeStaticString(#"","pid":""#)
            builder.bytes.writeString(pid)
        }
        builder.bytes.writeStaticString(#""}"#)
        return EncodedPacket(text: builder.finish())
    }

    /// A client's first word in a namespace: `40` and what it says of itself.
    package static func connect(_ namespace: String, auth: RawJSON?) -> EncodedPacket {
        var builder = Self.begin(.connect, namespace, attachments: 0, id: nil)
        if let auth { builder.bytes.writeImmutableBuffer(auth.bytes) }
        return EncodedPacket(text: builder.finish())
    }

    package static func disconnected(_ namespace: String) -> EncodedPacket {
        EncodedPacket(text: Self.begin(.disconnect, namespace, attachments: 0, id: nil).finish())
    }

    /// `44` with message and, if any, data.
    static func refused(_ namespace: String, _ error: ConnectError) -> EncodedPacket {
        var builder = Self.begin(.connectError, namespace, attachments: 0, id: nil)
        builder.bytes.writeStaticString(#"{"message":"#)
        builder.bytes.writeJSONString(error.message)
        if let data = error.data {
            builder.bytes.writeStaticString(#","data":"#)
            builder.bytes.writeImmutableBuffer(data.bytes)
        }
        builder.bytes.writeStaticString("}")
        return EncodedPacket(text: builder.finish())
    }

    package static func event(_ namespace: String, _ name: String, _ arguments: [RawJSON], id: Int? = nil)
        -> EncodedPacket
    {
        Self.array(.event, .binaryEvent, namespace, name: name, arguments, id: id)
    }

    package static func ack(_ namespace: String, id: Int, _ arguments: [RawJSON]) -> EncodedPacket {
        Self.array(.ack, .binaryAck, namespace, name: nil, arguments, id: id)
    }

    private static func array(
        _ plain: SocketPacketType,
        _ binary: SocketPacketType,
        _ namespace: String,
        name: String?,
        _ arguments: [RawJSON],
        id: Int?
    ) -> EncodedPacket {
        if !arguments.contains(where: { !$0.attachments.isEmpty }) {
            return Self.plainArray(plain, namespace, name: name, arguments, id: id)
        }
        var attachments: [ByteBuffer] = []
        var values: [ByteBuffer] = []
        values.reserveCapacity(arguments.count)
        // Beside binary arguments, one without must not pass for another's: its placeholders mean nothing.
        for argument in arguments { values.append(renumbered(argument, &attachments)) }
        let size = values.reduce(64 + (name?.utf8.count ?? 0)) { $0 + $1.readableBytes + 1 }
        let type = attachments.isEmpty ? plain : binary
        var builder = Self.begin(type, namespace, attachments: attachments.count, id: id, capacity: size)
        builder.bytes.writeInteger(UInt8(0x5B))
        if let name { builder.bytes.writeJSONString(name) }
        for (index, value) in values.enumerated() {
            if index > 0 || name != nil { builder.bytes.writeInteger(UInt8(0x2C)) }
            builder.bytes.writeImmutableBuffer(value)
        }
        builder.bytes.writeInteger(UInt8(0x5D))
        return EncodedPacket(text: builder.finish(), attachments: attachments.map { EngineMessage(binary: $0) })
    }

    /// Without attachments, as nearly all are: no lists are made on the way.
    private static func plainArray(
        _ type: SocketPacketType,
        _ namespace: String,
        name: String?,
        _ arguments: [RawJSON],
        id: Int?
    ) -> EncodedPacket {
        var size = 64 + (name?.utf8.count ?? 0)
        for argument in arguments { size += argument.bytes.readableBytes + 1 }
        var builder = Self.begin(type, namespace, attachments: 0, id: id, capacity: size)
        builder.bytes.writeInteger(UInt8(0x5B))
        if let name { builder.bytes.writeJSONString(name) }
        var needsComma = name != nil
        for argument in arguments {
            if needsComma { builder.bytes.writeInteger(UInt8(0x2C)) }
            needsComma = true
            builder.bytes.writeImmutableBuffer(argument.bytes)
        }
        builder.bytes.writeInteger(UInt8(0x5D))
        return EncodedPacket(text: builder.finish())
    }

    private static func begin(
        _ type: SocketPacketType,
        _ namespace: String,
        attachments: Int,
        id: Int?,
        capacity: Int = 64
    ) -> EngineMessageBuilder {
        var builder = EngineMessageBuilder(.message, capacity: capacity)
        builder.bytes.writeInteger(type.rawValue)
        if attachments > 0 { builder.bytes.writeString("\(attachments)-") }
        if namespace != "/" {
            builder.bytes.writeString(namespace)
            builder.bytes.writeInteger(UInt8(0x2C))
        }
        if let id { builder.bytes.writeString(String(id)) }
        return builder
    }
}

/// Gives a value's placeholders the numbers of their attachments in the packet that it becomes part of.
private func renumbered(_ value: RawJSON, _ attachments: inout [ByteBuffer]) -> ByteBuffer {
    let placeholders = value.bytes.withUnsafeReadableBytes { bytes in
        var scanner = JSONScanner(bytes, findsPlaceholders: true)
        scanner.skipBlanks()
        // The value was checked when it came; a failure here would leave it as it is.
        try? scanner.skipValue()
        return scanner.placeholders
    }
    var out = ByteBufferAllocator().buffer(capacity: value.bytes.readableBytes + 16)
    var position = 0
    for placeholder in placeholders.sorted(by: { $0.range.lowerBound < $1.range.lowerBound }) {
        // What lies within a placeholder goes with it.
        guard placeholder.range.lowerBound >= position else { continue }
        if let before = value.bytes.getSlice(
            at: value.bytes.readerIndex + position,
            length: placeholder.range.lowerBound - position
        ) {
            out.writeImmutableBuffer(before)
        }
        if let number = placeholder.number, value.attachments.indices.contains(number) {
            out.writeString(#"{"_placeholder":true,"num":\#(attachments.count)}"#)
            attachments.append(value.attachments[number])
        } else {
            out.writeStaticString("null")
        }
        position = placeholder.range.upperBound
    }
    if let rest = value.bytes.getSlice(
        at: value.bytes.readerIndex + position,
        length: value.bytes.readableBytes - position
    ) {
        out.writeImmutableBuffer(rest)
    }
    return out
}
