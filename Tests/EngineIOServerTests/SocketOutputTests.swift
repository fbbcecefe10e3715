import Glibc
import NIOCore
import Testing

@testable import EngineIOServer

/// What a tick of the loop wrote, and its way to the socket.
@Suite struct SocketOutputTests {
    private func output(_ frames: [String]) -> SocketOutput {
        var output = SocketOutput()
        for frame in frames { output.append(ByteBuffer(string: frame)) }
        return output
    }

    @Test("What the kernel did not take goes on at the byte where it stopped", arguments: 0...10)
    func rest(sent: Int) {
        let rest = self.output(["abc", "defg", "hij"]).rest(after: sent)
        #expect(rest.map { String(buffer: $0) }.joined() == String("abcdefghij".dropFirst(sent)))
        #expect(rest.allSatisfy { $0.readableBytes > 0 })
    }

    @Test("Frames of one tick leave in one piece and in order", arguments: [["one"], ["one", "two", "three"]])
    func send(frames: [String]) throws {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let output = self.output(frames)
        #expect(DirectSender().send(output, to: ends[0]) == output.byteCount)
        var received = [UInt8](repeating: 0, count: 64)
        let count = recv(ends[1], &received, received.count, 0)
        #expect(String(decoding: received[..<max(0, count)], as: UTF8.self) == frames.joined())
    }

    @Test("A connection that is gone takes nothing")
    func broken() throws {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        close(ends[1])
        defer { close(ends[0]) }
        #expect(DirectSender().send(self.output(["one"]), to: ends[0]) == 0)
    }
}
