import Glibc
import NIOCore
import NIOPosix

/// The frames of one connection that wait for the end of the loop's tick.
///
/// Nearly always one: it has a place of its own, so that waiting allocates nothing.
struct SocketOutput {
    private var first: ByteBuffer?
    private var others: [ByteBuffer] = []
    private(set) var byteCount = 0

    var isEmpty: Bool { self.first == nil }

    mutating func append(_ frame: ByteBuffer) {
        self.byteCount += frame.readableBytes
        if self.first == nil { self.first = frame } else { self.others.append(frame) }
    }

    /// Frames in order, behind the first `sent` bytes.
    func rest(after sent: Int) -> [ByteBuffer] {
        var skipped = sent
        var rest: [ByteBuffer] = []
        for var frame in [self.first].compactMap({ $0 }) + self.others {
            let part = min(skipped, frame.readableBytes)
            skipped -= part
            frame.moveReaderIndex(forwardBy: part)
            if frame.readableBytes > 0 { rest.append(frame) }
        }
        return rest
    }

    fileprivate var onlyFrame: ByteBuffer? { self.others.isEmpty ? self.first : nil }

    fileprivate func copy(to buffer: UnsafeMutableRawBufferPointer) {
        var offset = 0
        func copy(_ frame: ByteBuffer) {
            frame.withUnsafeReadableBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: bytes)
                offset += bytes.count
            }
        }
        if let first = self.first { copy(first) }
        for frame in self.others { copy(frame) }
    }
}

/// Sends what waits on a connection in one system call, past the channel.
///
/// A broadcast is a system call per socket, and most of what a server does besides was the channel's book-keeping
/// around it: two walks through the pipeline and a queue. While the kernel takes everything, none of that is needed.
/// As soon as it does not, the rest goes through the channel, which waits and keeps the bounds.
///
/// One per loop. Touched on it only.
final class DirectSender {
    /// Several frames up to this size are copied together; more go through the channel. 512 frames of a broadcast.
    private static let scratchBytes = 128 * 1024

    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: scratchBytes, alignment: 16)

    deinit { self.scratch.deallocate() }

    /// How many bytes the kernel took: all, some, or none because it has no room or the connection is broken. The
    /// channel meets the same fate at its next write and knows what to do.
    func send(_ output: borrowing SocketOutput, to descriptor: NIOBSDSocket.Handle) -> Int {
        if let frame = output.onlyFrame {
            return frame.withUnsafeReadableBytes { Self.send($0, to: descriptor) }
        }
        guard output.byteCount <= Self.scratchBytes else { return 0 }
        output.copy(to: self.scratch)
        return Self.send(UnsafeRawBufferPointer(rebasing: self.scratch[..<output.byteCount]), to: descriptor)
    }

    private static func send(_ bytes: UnsafeRawBufferPointer, to descriptor: NIOBSDSocket.Handle) -> Int {
        while true {
            let sent = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return sent }
            if errno != EINTR { return 0 }
        }
    }
}
