import CZlib
import NIOCore

/// zlib's decompressor for the messages of RFC 7692: each stands by itself.
///
/// The danger is the bomb: a thousand bytes may stand for a million. So output is bounded while it is made: room for
/// one byte more than allowed is all that is ever given to zlib, and if that byte is used, it was too much.
///
/// - Source: RFC 7692, section 7.2.2.
@safe final class Inflater {
    enum Failure: Error, Equatable {
        /// What came is no deflated data, or is cut short.
        case invalid
        /// More than allowed would come out.
        case tooLarge
    }

    private static let windowBits: Int32 = 15
    /// What the sender left out: the end of an empty stored block.
    private static let tail = ByteBuffer(bytes: [0x00, 0x00, 0xFF, 0xFF])
    /// Set in `data_type` when a block has just ended.
    private static let atBlockEnd: Int32 = 128
    private static let smallestOutput = 512

    /// zlib keeps a pointer back to its stream, so the stream must not move.
    private let stream: UnsafeMutablePointer<z_stream>

    /// `nil` if zlib has no memory.
    init?() {
        unsafe self.stream = .allocate(capacity: 1)
        unsafe self.stream.initialize(to: z_stream())
        let status = unsafe inflateInit2_(
            self.stream,
            -Self.windowBits,
            ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else {
            unsafe self.stream.deallocate()
            return nil
        }
    }

    deinit {
        unsafe inflateEnd(self.stream)
        unsafe self.stream.deallocate()
    }

    /// A whole message's data from its frames' payload.
    ///
    /// - Bounds: at most `maxBytes` come out, and no more than twice that is allocated.
    func decompress(_ bytes: ByteBuffer, maxBytes: Int) throws(Failure) -> ByteBuffer {
        guard unsafe inflateReset(self.stream) == Z_OK, bytes.readableBytes <= Int(Int32.max) else { throw .invalid }
        let guess = min(max(bytes.readableBytes * 4, Self.smallestOutput), maxBytes + 1)
        var out = ByteBufferAllocator().buffer(capacity: guess)
        let isFinished = try self.feed(bytes, maxBytes: maxBytes, into: &out)
        // A sender that ended its last block as final may have left nothing out.
        if !isFinished { _ = try self.feed(Self.tail, maxBytes: maxBytes, into: &out) }
        let isWhole = unsafe isFinished || self.stream.pointee.data_type & Self.atBlockEnd != 0
        guard isWhole else { throw .invalid }
        return out
    }

    /// - Returns: whether the input ended with a final block.
    private func feed(
        _ bytes: ByteBuffer,
        maxBytes: Int,
        into out: inout ByteBuffer
    ) throws(Failure) -> Bool {
        let result: Result<Bool, Failure> = unsafe bytes.withUnsafeReadableBytes { input in
            // zlib declares its input as mutable and does not write there.
            unsafe self.stream.pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?
                .assumingMemoryBound(to: UInt8.self)
            unsafe self.stream.pointee.avail_in = UInt32(input.count)
            // Nothing may point into buffers that are not ours after this call.
            defer { unsafe self.stream.pointee.next_in = nil }
            do throws(Failure) {
                return .success(try self.run(maxBytes: maxBytes, into: &out))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func run(maxBytes: Int, into out: inout ByteBuffer) throws(Failure) -> Bool {
        while true {
            let room = min(max(out.writableBytes, Self.smallestOutput), maxBytes + 1 - out.readableBytes)
            var status = Z_OK
            var isFull = false
            _ = unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { output in
                unsafe self.stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
                unsafe self.stream.pointee.avail_out = UInt32(room)
                status = unsafe inflate(self.stream, Z_SYNC_FLUSH)
                let left = unsafe Int(self.stream.pointee.avail_out)
                isFull = left == 0
                unsafe self.stream.pointee.next_out = nil
                return room - left
            }
            guard out.readableBytes <= maxBytes else { throw .tooLarge }
            let isConsumed = unsafe self.stream.pointee.avail_in == 0
            switch status {
            case Z_STREAM_END:
                if isConsumed { return true }
                // Another block may follow a final one, and look back beyond it: the window stays.
                guard unsafe inflateResetKeep(self.stream) == Z_OK else { throw .invalid }
            case Z_OK, Z_BUF_ERROR:
                // zlib says "buffer error" when there was nothing left to do.
                if isConsumed && !isFull { return false }
                if !isFull { throw .invalid }
            default:
                throw .invalid
            }
        }
    }
}
