import EngineIO
import NIOCore

/// The zlib state of one event loop for one endpoint, and the frames compressed in this tick.
///
/// A broadcast gives the same message to many sockets, one after another. The compressed frame is remembered by the
/// identity of the message's bytes, so it is made once on each loop and shared by all sockets there. Sockets that have
/// not negotiated compression never come here, and messages know nothing of it.
///
/// Touched on its loop only.
final class MessageCompression {
    /// A packet with its attachments is eleven messages, sent in turn to each socket.
    private static let maxRemembered = 16
    /// Room that is kept between messages.
    private static let maxScratchBytes = 64 * 1024

    private let threshold: Int
    private let deflater: Deflater
    let inflater: Inflater
    /// At most `maxRemembered`; the oldest makes room. Forgotten at the end of the tick.
    private var remembered: [(message: ByteBuffer, frame: ByteBuffer)] = []
    private var next = 0
    private var scratch = ByteBuffer()

    /// `nil` if zlib has no memory: then compression is not negotiated.
    init?(_ settings: PerMessageDeflate) {
        guard let deflater = Deflater(.message), let inflater = Inflater() else { return nil }
        self.threshold = max(1, settings.threshold)
        self.deflater = deflater
        self.inflater = inflater
    }

    /// What is agreed with the client of a handshake.
    func agree(with request: EngineRequest) -> PerMessageDeflate.Agreement? {
        let offers = request.headers.filter { $0.name.lowercased() == "sec-websocket-extensions" }.map(\.value)
        return offers.isEmpty ? nil : PerMessageDeflate.agree(on: offers.joined(separator: ","))
    }

    /// A message's frame, compressed if that makes it shorter.
    func frame(of message: EngineMessage, maxCompressedBytes: Int) -> ByteBuffer {
        let payload = message.payload
        guard payload.readableBytes >= self.threshold, payload.readableBytes <= maxCompressedBytes else {
            return message.frame
        }
        for known in self.remembered where known.message.hasSameStorage(as: payload) { return known.frame }
        let frame = self.compressed(payload, isBinary: message.isBinary) ?? message.frame
        self.remember(payload, frame)
        return frame
    }

    /// Compresses into a buffer that is used again and copies the result: a frame that waits for its peer must not
    /// hold the room that the worst case would have needed.
    private func compressed(_ payload: ByteBuffer, isBinary: Bool) -> ByteBuffer? {
        defer {
            self.scratch.clear()
            if self.scratch.capacity > Self.maxScratchBytes { self.scratch = ByteBuffer() }
        }
        guard self.deflater.compress(payload, into: &self.scratch),
            self.scratch.readableBytes < payload.readableBytes
        else { return nil }
        var builder = EngineMessageBuilder(binaryCapacity: self.scratch.readableBytes)
        builder.bytes.writeImmutableBuffer(self.scratch)
        return builder.finishCompressed(isBinary: isBinary)
    }

    private func remember(_ message: ByteBuffer, _ frame: ByteBuffer) {
        if self.remembered.count < Self.maxRemembered {
            self.remembered.append((message, frame))
        } else {
            self.remembered[self.next] = (message, frame)
            self.next = (self.next + 1) % Self.maxRemembered
        }
    }

    /// The loop's tick is over.
    func forget() {
        if !self.remembered.isEmpty { self.remembered.removeAll(keepingCapacity: true) }
        self.next = 0
    }
}

extension ByteBuffer {
    /// Whether two buffers are the same bytes in the same place. While one of them is held, nothing else can come to
    /// be there, and a change to the other would move it away.
    fileprivate func hasSameStorage(as other: ByteBuffer) -> Bool {
        self.withUnsafeReadableBytes { mine in
            other.withUnsafeReadableBytes { mine.baseAddress == $0.baseAddress && mine.count == $0.count }
        }
    }
}
