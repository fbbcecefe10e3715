import NIOCore
import Testing

@testable import EngineIO

/// Long-polling of one session, without a connection.
@Suite struct PollingStateTests {
    private func state(maxQueuedBytes: Int = 100_000, maxPayload: Int = 1_000) -> PollingState {
        PollingState(maxQueuedBytes: maxQueuedBytes, maxPayload: maxPayload)
    }

    private static func text(_ text: String) -> EngineMessage { EngineMessage(text: ByteBuffer(string: text)) }
    private static func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test("A poll waits until something is sent, and takes all that was sent within the tick")
    func coalescing() {
        var state = self.state()
        let first = state.poll()
        #expect(first == .wait)
        let sends = [state.send(Self.text("a")), state.send(Self.text("b"))]
        #expect(sends == [.flush, .flush])
        let payload = state.flush()
        #expect(payload == Self.bytes("4a\u{1e}4b"))
        let nothing = state.flush()
        #expect(nothing == nil)
    }

    @Test("A poll that comes later takes what waits at once")
    func waiting() {
        var state = self.state()
        let sent = state.send(EngineMessage(binary: ByteBuffer(bytes: [1, 2, 3])))
        #expect(sent == .none)
        let poll = state.poll()
        #expect(poll == .answer(Self.bytes("bAQID")))
    }

    @Test("One answer holds 16 packets; the others keep their order in the next ones")
    func sixteen() {
        var state = self.state()
        for number in 0..<40 { _ = state.send(Self.text("\(number)")) }
        var all: [String] = []
        var sizes: [Int] = []
        while state.hasQueued {
            guard case .answer(let payload) = state.poll() else { break }
            let packets = String(buffer: payload).split(separator: "\u{1e}").map { String($0.dropFirst()) }
            sizes.append(packets.count)
            all += packets
        }
        #expect(sizes == [16, 16, 8])
        #expect(all == (0..<40).map(String.init))
    }

    @Test("One answer holds no more bytes than a payload may, but always one packet")
    func large() {
        var state = self.state(maxPayload: 100)
        for size in [90, 300, 10, 10] { _ = state.send(Self.text(String(repeating: "a", count: size))) }
        var sizes: [Int] = []
        while state.hasQueued, case .answer(let payload) = state.poll() { sizes.append(payload.readableBytes) }
        #expect(sizes == [91, 301, 23])
    }

    @Test("What nobody fetches is bounded")
    func slow() {
        var state = self.state(maxQueuedBytes: 1_000)
        var last = PollingState.SendAction.none
        var count = 0
        while last == .none, count < 1_000 {
            last = state.send(Self.text("x"))
            count += 1
        }
        #expect(last == .tooSlow)
        #expect(count < 20)
    }

    @Test("A second poll, and a second POST, overlap the first")
    func overlaps() {
        var state = self.state()
        let polls = [state.poll(), state.poll()]
        #expect(polls == [.wait, .overlap])
        let posts = [state.postBegan(), state.postBegan()]
        #expect(posts == [true, false])
        state.postEnded()
        let again = state.postBegan()
        #expect(again)
    }

    @Test("From the probe on every poll is released, with what waits or with a noop")
    func probe() {
        var state = self.state()
        let waits = state.poll()
        #expect(waits == .wait)
        let began = [state.upgradeBegan(), state.upgradeBegan()]
        #expect(began == [true, false])
        let released = state.upgradeProbed()
        #expect(released == Self.bytes("6"))
        let next = state.poll()
        #expect(next == .answer(Self.bytes("6")))
        _ = state.send(Self.text("a"))
        let withData = state.poll()
        #expect(withData == .answer(Self.bytes("4a")))
    }

    @Test("The WebSocket gets what no poll has fetched, in order; a poll that waits is released")
    func upgrade() {
        var state = self.state()
        _ = state.upgradeBegan()
        _ = state.poll()
        for number in 0..<3 { _ = state.send(Self.text("\(number)")) }
        let (queued, released) = state.upgraded()
        #expect(queued.map { String(buffer: $0.payload) } == ["40", "41", "42"])
        #expect(released == Self.bytes("6"))
        let poll = state.poll()
        #expect(poll == .gone)
    }

    @Test("After an upgrade that failed polls wait again, and another may begin")
    func failedUpgrade() {
        var state = self.state()
        _ = state.upgradeBegan()
        _ = state.upgradeProbed()
        state.upgradeFailed()
        let poll = state.poll()
        #expect(poll == .wait)
        let again = state.upgradeBegan()
        #expect(again)
    }

    @Test("Who takes leave is released with a noop, who is thrown out with a close packet")
    func closing() {
        for (reason, packet) in [(EngineCloseReason.transportClose, "6"), (.pingTimeout, "1"), (.forcedClose, "1")] {
            var state = self.state()
            _ = state.poll()
            let action = state.close(reason)
            #expect(action == .answer(Self.bytes(packet)))
            let poll = state.poll()
            #expect(poll == .gone)
        }
    }

    @Test("A close by the server comes behind all that was sent before it, in as many polls as it takes")
    func lingering() {
        var state = self.state()
        for number in 0..<20 { _ = state.send(Self.text("\(number)")) }
        let action = state.close(.forcedClose)
        #expect(action == .linger(nil))
        guard case .answer = state.poll() else {
            #expect(Bool(false), "the first 16 are not the last")
            return
        }
        let last = state.poll()
        #expect(last == .answerLast(Self.bytes("416\u{1e}417\u{1e}418\u{1e}419\u{1e}1")))
        let gone = state.poll()
        #expect(gone == .gone)
    }
}
