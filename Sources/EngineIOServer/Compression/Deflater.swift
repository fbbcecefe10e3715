import CZlib
import NIOCore

/// zlib's compressor for whole messages: each stands by itself, nothing of one is remembered for the next.
///
/// Made once and used again, because its 256 KiB of tables cost more to make than most messages to compress.
///
/// - Source: zlib's manual, "Advanced Functions"; RFC 1951, RFC 1952 and RFC 7692, section 7.2.1.
@safe final class Deflater {
    enum Format {
        /// Blocks up to a byte boundary, without the `00 00 FF FF` that the receiver appends: RFC 7692.
        case message
        /// One member with header and checksum: RFC 1952.
        case gzip
    }

    private static let windowBits: Int32 = 15
    private static let memoryLevel: Int32 = 8
    /// A server that sends to thousands has more network than processor: the fastest level.
    private static let level: Int32 = 1
    /// What a flush to a byte boundary may add to `deflateBound`, which counts on a finished stream.
    private static let flushRoom = 16
    /// The empty stored block that ends a flush.
    private static let flushTail = 4

    private let format: Format
    /// zlib keeps a pointer back to its stream, so the stream must not move.
    private let stream: UnsafeMutablePointer<z_stream>

    /// `nil` if zlib has no memory.
    init?(_ format: Format) {
        self.format = format
        unsafe self.stream = .allocate(capacity: 1)
        unsafe self.stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            self.stream,
            Self.level,
            Z_DEFLATED,
            format == .gzip ? Self.windowBits + 16 : -Self.windowBits,
            Self.memoryLevel,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else {
            unsafe self.stream.deallocate()
            return nil
        }
    }

    deinit {
        unsafe deflateEnd(self.stream)
        unsafe self.stream.deallocate()
    }

    /// Appends `bytes`, compressed, to `out`.
    ///
    /// - Returns: false if zlib failed; `out` is then as it was.
    func compress(_ bytes: ByteBuffer, into out: inout ByteBuffer) -> Bool {
        guard unsafe deflateReset(self.stream) == Z_OK, bytes.readableBytes <= Int(Int32.max) else { return false }
        let bound = unsafe Int(deflateBound(self.stream, UInt(bytes.readableBytes))) + Self.flushRoom
        let start = out.writerIndex
        var isComplete = false
        let written = unsafe bytes.withUnsafeReadableBytes { input in
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { output in
                unsafe self.run(input, output, isComplete: &isComplete)
            }
        }
        guard isComplete else {
            out.moveWriterIndex(to: start)
            return false
        }
        if self.format == .message { out.moveWriterIndex(to: start + written - Self.flushTail) }
        return true
    }

    /// One call does it all, because the output has room for the worst case.
    private func run(
        _ input: UnsafeRawBufferPointer,
        _ output: UnsafeMutableRawBufferPointer,
        isComplete: inout Bool
    ) -> Int {
        // zlib declares its input as mutable and does not write there.
        unsafe self.stream.pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?
            .assumingMemoryBound(to: UInt8.self)
        unsafe self.stream.pointee.avail_in = UInt32(input.count)
        unsafe self.stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe self.stream.pointee.avail_out = UInt32(clamping: output.count)
        let before = unsafe self.stream.pointee.avail_out
        let status = unsafe deflate(self.stream, self.format == .gzip ? Z_FINISH : Z_SYNC_FLUSH)
        let isFlushed = unsafe self.stream.pointee.avail_in == 0 && self.stream.pointee.avail_out > 0
        let written = unsafe Int(before - self.stream.pointee.avail_out)
        switch self.format {
        case .gzip: isComplete = status == Z_STREAM_END
        case .message: isComplete = status == Z_OK && isFlushed && written >= Self.flushTail
        }
        // Nothing may point into buffers that are not ours after this call.
        unsafe self.stream.pointee.next_in = nil
        unsafe self.stream.pointee.next_out = nil
        return written
    }
}
