import NIOCore

/// Compression of HTTP answers.
enum Gzip {
    /// The bytes as one gzip member; `nil` if zlib fails, and the answer then goes as it is.
    static func compress(_ bytes: ByteBuffer) -> ByteBuffer? {
        guard let deflater = Deflater(.gzip) else { return nil }
        var out = ByteBuffer()
        return deflater.compress(bytes, into: &out) ? out : nil
    }
}
