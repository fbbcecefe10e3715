import NIOCore
import Testing

@testable import EngineIO

@Suite struct EngineSessionStateTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000)

    private func session() -> EngineSessionState {
        EngineSessionState(pingInterval: .seconds(25), pingTimeout: .seconds(20), now: Self.start)
    }

    @Test("A ping is sent when the interval is over, not before")
    func ping() {
        var session = self.session()
        let outcome1 = session.tick(now: Self.start + .seconds(24))
        #expect(outcome1 == .none)
        let outcome2 = session.tick(now: Self.start + .seconds(25))
        #expect(outcome2 == .sendPing(pongDeadline: Self.start + .seconds(45)))
    }

    @Test("A missing pong closes the session at the deadline")
    func pongTimeout() {
        var session = self.session()
        _ = session.tick(now: Self.start + .seconds(25))
        let outcome3 = session.tick(now: Self.start + .seconds(44))
        #expect(outcome3 == .none)
        let outcome4 = session.tick(now: Self.start + .seconds(45))
        #expect(outcome4 == .close(.pingTimeout))
        let outcome5 = session.tick(now: Self.start + .seconds(46))
        #expect(outcome5 == .none)
    }

    @Test("A pong starts the next interval")
    func pong() {
        var session = self.session()
        _ = session.tick(now: Self.start + .seconds(25))
        let now = Self.start + .seconds(30)
        let outcome6 = session.receive(.pong(ByteBuffer()), now: now)
        #expect(outcome6 == .schedulePing(at: now + .seconds(25)))
        let outcome7 = session.tick(now: Self.start + .seconds(45))
        #expect(outcome7 == .none)
        let outcome8 = session.tick(now: now + .seconds(25))
        #expect(outcome8 == .sendPing(pongDeadline: now + .seconds(45)))
    }

    @Test("A client's ping, open or upgrade ends the session")
    func forbiddenPackets() {
        for packet in [EnginePacket.ping(ByteBuffer()), .open(ByteBuffer()), .upgrade] {
            var session = self.session()
            let outcome9 = session.receive(packet, now: Self.start)
            #expect(outcome9 == .close(.parseError))
            let outcome10 = session.receive(.text(ByteBuffer()), now: Self.start)
            #expect(outcome10 == .none)
        }
    }

    @Test("A session closes once")
    func closesOnce() {
        var session = self.session()
        let outcome11 = session.close()
        #expect(outcome11)
        let outcome12 = session.close()
        #expect(!outcome12)
        let deadline = session.nextDeadline
        #expect(deadline == nil)
    }

    @Test("A pong that nobody asked for asks for nothing: a flood of them costs nothing")
    func unaskedPong() {
        var session = self.session()
        let outcome = session.receive(.pong(ByteBuffer()), now: Self.start + .seconds(1))
        #expect(outcome == .none)
        let deadline = session.nextDeadline
        #expect(deadline == Self.start + .seconds(25))
    }
}
