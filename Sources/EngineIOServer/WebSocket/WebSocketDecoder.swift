import EngineIO
package import NIOCore

/// A peer broke the WebSocket protocol; the code goes into our close frame.
package struct WebSocketFailure: Error, Equatable, Sendable {
    package let code: UInt16
    package let reason: String

    package static let protocolError: UInt16 = 1002
    package static let invalidData: UInt16 = 1007
    package static let tooLarge: UInt16 = 1009
}

/// What a client sent, unmasked and put together.
package enum WebSocketEvent: Equatable, Sendable {
    case text(ByteBuffer)
    case binary(ByteBuffer)
    case ping(ByteBuffer)
    case pong
    /// The code of the close frame, `nil` for an empty one.
    case close(UInt16?)
}

/// Cuts a client's bytes into WebSocket messages.
///
/// Works on the read buffer itself: frames are unmasked where they lie and messages are slices of it, so that a
/// message costs no copy. That is done in two passes, because a slice that somebody keeps would make the next
/// unmasking copy the rest of the buffer: first all complete frames are unmasked, then slices are handed out.
///
/// Text is checked as its fragments come; compressed text when it is whole, because only then is it inflated: the
/// inflater is shared by all sockets of the loop and keeps nothing between messages.
///
/// - Bounds: a message is at most `maxMessageBytes`, over all its fragments and inflated; a frame that declares more is
///   refused when its header has come. At most that and a header are kept between reads.
/// - Source: RFC 6455, sections 5 and 7.4; RFC 7692, section 6, for messages that are compressed.
package struct WebSocketDecoder {
    private struct Frame {
        var opcode: UInt8
        var isFinal: Bool
        /// RSV1: the first frame of a compressed message.
        var isCompressed: Bool
        /// Absolute indices in the buffer.
        var start: Int
        var length: Int
    }

    /// A message whose last frame has not come.
    private struct Fragments {
        var bytes: ByteBuffer
        let isText: Bool
        let isCompressed: Bool
        /// Bytes that are known to be whole UTF-8 sequences.
        var checkedBytes = 0
    }

    private let maxMessageBytes: Int
    /// Set if compression was negotiated.
    private let inflater: Inflater?
    private var buffer = ByteBuffer()
    private var fragments: Fragments?
    /// Whether the data frames that come now belong to a compressed message.
    private var readsCompressed = false
    /// Once the peer has broken the protocol nothing it sends has a meaning, and nothing of it is kept.
    private var hasFailed = false

    package init(maxMessageBytes: Int) {
        self.init(maxMessageBytes: maxMessageBytes, inflater: nil)
    }

    /// - Parameter inflater: that of the loop, if compression was negotiated.
    init(maxMessageBytes: Int, inflater: Inflater?) {
        self.maxMessageBytes = maxMessageBytes
        self.inflater = inflater
    }

    /// Takes what was read. Call ``decode(_:)`` when the read is complete.
    package mutating func append(_ bytes: ByteBuffer) {
        guard !self.hasFailed else { return }
        if self.buffer.readableBytes == 0 {
            self.buffer = bytes
        } else {
            self.buffer.writeImmutableBuffer(bytes)
        }
    }

    /// Hands every complete message to `body`, in order; stops when `body` returns false.
    ///
    /// - Throws: ``WebSocketFailure`` for the first thing the protocol forbids. What came before was handed out.
    package mutating func decode(_ body: (WebSocketEvent) -> Bool) throws(WebSocketFailure) {
        do {
            try self.decodeFrames(body)
        } catch {
            self.hasFailed = true
            self.buffer = ByteBuffer()
            self.fragments = nil
            throw error
        }
    }

    private mutating func decodeFrames(_ body: (WebSocketEvent) -> Bool) throws(WebSocketFailure) {
        var frames: [Frame] = []
        var failure: WebSocketFailure?
        let start = self.buffer.readerIndex
        // A failed frame must not swallow the messages in front of it.
        do {
            while let frame = try self.nextFrame() { frames.append(frame) }
        } catch {
            failure = error
        }
        var source = self.buffer
        source.moveReaderIndex(to: start)
        if self.buffer.readableBytes == 0 {
            self.buffer = ByteBuffer()
        } else if self.buffer.readerIndex > 0 {
            // The beginning of a frame waits for its rest without what was in front of it.
            self.buffer = ByteBuffer(bytes: self.buffer.readableBytesView)
        }
        for (index, frame) in frames.enumerated() {
            guard let payload = source.getSlice(at: frame.start, length: frame.length) else { continue }
            if index == frames.count - 1 { source = ByteBuffer() }
            if let event = try self.event(for: frame, payload: payload), !body(event) { return }
        }
        if let failure { throw failure }
    }

    // MARK: Frames

    /// Reads one frame's header and unmasks its payload in place; `nil` until all of it is there.
    private mutating func nextFrame() throws(WebSocketFailure) -> Frame? {
        let start = self.buffer.readerIndex
        guard let first = self.buffer.getInteger(at: start, as: UInt8.self) else { return nil }
        let opcode = first & 0x0F
        let isFinal = first & 0x80 != 0
        let isControl = opcode & 0x8 != 0
        let isCompressed = first & 0x40 != 0
        guard first & 0x30 == 0, !isCompressed || (self.inflater != nil && (opcode == 1 || opcode == 2)) else {
            throw Self.broken("reserved bits are set")
        }
        guard opcode <= 2 || (opcode >= 8 && opcode <= 10) else { throw Self.broken("unknown opcode") }
        guard let second = self.buffer.getInteger(at: start + 1, as: UInt8.self) else { return nil }
        guard second & 0x80 != 0 else { throw Self.broken("frame is not masked") }
        guard !isControl || (isFinal && second & 0x7F <= 125) else {
            throw Self.broken("control frame is fragmented or long")
        }
        var header = 2
        var length = Int(second & 0x7F)
        if length == 126 {
            guard let long = self.buffer.getInteger(at: start + 2, as: UInt16.self) else { return nil }
            guard long > 125 else { throw Self.broken("length is not the shortest") }
            length = Int(long)
            header = 4
        } else if length == 127 {
            guard let long = self.buffer.getInteger(at: start + 2, as: UInt64.self) else { return nil }
            guard long > 0xFFFF, long <= UInt64(Int.max) else { throw Self.broken("length is out of range") }
            length = Int(long)
            header = 10
        }
        if opcode == 1 || opcode == 2 { self.readsCompressed = isCompressed }
        guard isControl || length <= self.maxBytes(isCompressed: self.readsCompressed) else { throw Self.tooLarge }
        guard let key = self.buffer.getInteger(at: start + header, endianness: .host, as: UInt32.self),
            self.buffer.readableBytes - header - 4 >= length
        else { return nil }
        self.buffer.moveReaderIndex(forwardBy: header + 4)
        let payloadStart = self.buffer.readerIndex
        if key != 0 { self.unmask(length: length, key: key) }
        self.buffer.moveReaderIndex(forwardBy: length)
        return Frame(
            opcode: opcode,
            isFinal: isFinal,
            isCompressed: isCompressed,
            start: payloadStart,
            length: length
        )
    }

    /// What a message may take on the wire. Data that do not compress become longer by it, a little with zlib's
    /// compressor and up to an eighth with a plain one.
    private func maxBytes(isCompressed: Bool) -> Int {
        isCompressed ? self.maxMessageBytes + self.maxMessageBytes / 8 + 64 : self.maxMessageBytes
    }

    private mutating func unmask(length: Int, key: UInt32) {
        let wide = UInt64(key) << 32 | UInt64(key)
        self.buffer.withUnsafeMutableReadableBytes { readable in
            let payload = UnsafeMutableRawBufferPointer(rebasing: readable[..<length])
            var index = 0
            while index + 8 <= length {
                let word = payload.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                payload.storeBytes(of: word ^ wide, toByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < length {
                payload[index] ^= UInt8(truncatingIfNeeded: key >> UInt32((index & 3) * 8))
                index += 1
            }
        }
    }

    // MARK: Messages

    private mutating func event(
        for frame: Frame,
        payload: ByteBuffer
    ) throws(WebSocketFailure) -> WebSocketEvent? {
        switch frame.opcode {
        case 0x8: return .close(try Self.closeCode(payload))
        case 0x9: return .ping(payload)
        case 0xA: return .pong
        case 0x0:
            guard var whole = self.fragments else { throw Self.broken("nothing to continue") }
            // Let go of, so that the one who appends is the only owner.
            self.fragments = nil
            guard
                whole.bytes.readableBytes + payload.readableBytes <= self.maxBytes(isCompressed: whole.isCompressed)
            else { throw Self.tooLarge }
            whole.bytes.writeImmutableBuffer(payload)
            if frame.isFinal { return try self.message(whole) }
            try Self.check(&whole)
            self.fragments = whole
            return nil
        default:
            guard self.fragments == nil else { throw Self.broken("a fragmented message is not complete") }
            var message = Fragments(bytes: payload, isText: frame.opcode == 1, isCompressed: frame.isCompressed)
            if frame.isFinal { return try self.message(message) }
            // A copy, because a slice would keep the whole read buffer for as long as the peer likes.
            message.bytes = ByteBuffer(bytes: payload.readableBytesView)
            try Self.check(&message)
            self.fragments = message
            return nil
        }
    }

    /// Refuses text as soon as it cannot become UTF-8: a peer need not be waited for to say the rest.
    private static func check(_ message: inout Fragments) throws(WebSocketFailure) {
        guard message.isText, !message.isCompressed else { return }
        let checked = message.bytes.withUnsafeReadableBytes { UTF8Check.validPrefix($0, from: message.checkedBytes) }
        guard let checked else { throw Self.notText }
        message.checkedBytes = checked
    }

    private func message(_ whole: Fragments) throws(WebSocketFailure) -> WebSocketEvent {
        var bytes = whole.bytes
        if whole.isCompressed {
            guard let inflater = self.inflater else { throw Self.broken("reserved bits are set") }
            do {
                bytes = try inflater.decompress(bytes, maxBytes: self.maxMessageBytes)
            } catch {
                throw error == .tooLarge
                    ? Self.tooLarge
                    : WebSocketFailure(code: WebSocketFailure.invalidData, reason: "data are not deflated")
            }
        }
        guard whole.isText else { return .binary(bytes) }
        let checked = bytes.withUnsafeReadableBytes { UTF8Check.validPrefix($0, from: whole.checkedBytes) }
        guard checked == bytes.readableBytes else { throw Self.notText }
        return .text(bytes)
    }

    /// - Source: RFC 6455, section 7.4: codes below 1000, 1004 to 1006 and 1012 to 2999 are not for frames.
    private static func closeCode(_ payload: ByteBuffer) throws(WebSocketFailure) -> UInt16? {
        guard payload.readableBytes > 0 else { return nil }
        guard let code = payload.getInteger(at: payload.readerIndex, as: UInt16.self) else {
            throw Self.broken("close frame of one byte")
        }
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw Self.broken("close code is not for use")
        }
        let isText = payload.withUnsafeReadableBytes { UTF8Check.isValid(.init(rebasing: $0.dropFirst(2))) }
        guard isText else {
            throw WebSocketFailure(code: WebSocketFailure.invalidData, reason: "close reason is not UTF-8")
        }
        return code
    }

    private static let tooLarge = WebSocketFailure(code: WebSocketFailure.tooLarge, reason: "message is too large")
    private static let notText = WebSocketFailure(code: WebSocketFailure.invalidData, reason: "text is not UTF-8")

    private static func broken(_ reason: String) -> WebSocketFailure {
        WebSocketFailure(code: WebSocketFailure.protocolError, reason: reason)
    }
}

extension ByteBuffer {
    /// A server's control frame: never masked, at most 125 bytes of payload.
    static func controlFrame(opcode: UInt8, payload: ByteBuffer) -> ByteBuffer {
        var frame = ByteBufferAllocator().buffer(capacity: 2 + payload.readableBytes)
        frame.writeInteger(0x80 | opcode)
        frame.writeInteger(UInt8(truncatingIfNeeded: payload.readableBytes))
        frame.writeImmutableBuffer(payload)
        return frame
    }

    static func closeFrame(code: UInt16) -> ByteBuffer {
        var payload = ByteBuffer()
        payload.writeInteger(code)
        return .controlFrame(opcode: 0x8, payload: payload)
    }
}
