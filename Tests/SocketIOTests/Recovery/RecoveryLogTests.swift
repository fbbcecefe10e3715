import NIOCore
import Testing

@testable import SocketIO

@Suite struct RecoveryLogTests {
    private static let start = NIODeadline.uptimeNanoseconds(1)

    private static func message(_ number: Int, size: Int = 10) -> RecoverableMessage {
        let text = String(repeating: "x", count: size)
        return RecoverableMessage(
            epoch: "e",
            number: number,
            packet: .event("/", "n", [RawJSON(trusted: "\"\(text)\"")]),
            rooms: [],
            except: []
        )
    }

    @Test("Numbers have no gaps, and what came after one is found until it is gone")
    func order() {
        var log = RecoveryLog(maxCount: 3, maxBytes: 1 << 20, maxAge: .seconds(10))
        #expect(log.messages(after: 0)?.isEmpty == true)
        for number in 1...3 {
            let message = log.append(now: Self.start) { Self.message($0) }
            #expect(message.number == number)
        }
        #expect(log.messages(after: 0)?.map(\.number) == [1, 2, 3])
        #expect(log.messages(after: 3)?.isEmpty == true)
        #expect(log.messages(after: 4) == nil)
        _ = log.append(now: Self.start) { Self.message($0) }
        #expect(log.messages(after: 0) == nil)
        #expect(log.messages(after: 1)?.map(\.number) == [2, 3, 4])
    }

    @Test("The oldest go when there are too many bytes, or when their time is over")
    func bounds() {
        let size = Self.message(1, size: 500).size
        var log = RecoveryLog(maxCount: 100, maxBytes: size * 2 + size / 2, maxAge: .seconds(10))
        for _ in 1...3 { _ = log.append(now: Self.start) { Self.message($0, size: 500) } }
        #expect(log.count == 2 && log.byteCount <= size * 2 + size / 2)
        #expect(log.messages(after: 0) == nil)
        _ = log.append(now: Self.start + .seconds(10)) { Self.message($0) }
        #expect(log.count == 1)
        #expect(log.messages(after: 3)?.map(\.number) == [4])
        // One that is larger than all is allowed does not stay; nor does it trap.
        _ = log.append(now: Self.start + .seconds(10)) { Self.message($0, size: 5000) }
        #expect(log.count == 0 && log.byteCount == 0)
        #expect(log.messages(after: 4) == nil)
        #expect(log.messages(after: 5)?.isEmpty == true)
    }

    @Test("A message is for who was in one of its rooms at that time, and in none of those excepted")
    func rooms() {
        func isFor(_ rooms: [String], _ except: [String] = [], stays: [String: Int] = [:], start: Int = 0) -> Bool {
            RecoverableMessage(
                epoch: "e",
                number: 5,
                packet: .event("/", "n", []),
                rooms: rooms,
                except: except
            ).isFor(sid: "me", since: start, stays: stays)
        }
        #expect(isFor([]))
        #expect(!isFor([], start: 5))
        #expect(isFor(["me"]))
        #expect(!isFor([], ["me"]))
        #expect(!isFor(["r"]))
        #expect(isFor(["r"], stays: ["r": 4]))
        #expect(!isFor(["r"], stays: ["r": 5]))
        #expect(isFor(["q", "r"], stays: ["r": 1]))
        #expect(!isFor(["r"], ["q"], stays: ["r": 1, "q": 1]))
        #expect(isFor(["r"], ["q"], stays: ["r": 1, "q": 5]))
    }
}

@Suite struct RecoveryOffsetTests {
    @Test("An offset is read back as it was given out")
    func roundTrip() {
        let broadcast = RecoveryOffset(RecoveryOffset.text(epoch: "e", broadcast: 7), epoch: "e", sid: "abcdefgh")
        #expect(broadcast == RecoveryOffset(broadcast: 7))
        let direct = RecoveryOffset(broadcast: 7, direct: 3)
        #expect(RecoveryOffset(direct.text(epoch: "e", sid: "abcdefgh"), epoch: "e", sid: "abcdefgh") == direct)
        #expect(RecoveryOffset(broadcast: 7) < direct && direct < RecoveryOffset(broadcast: 8))
        #expect(RecoveryOffset(streamID: "7-3") == direct)
    }

    @Test("One of an earlier session of this client counts as nothing seen; one of another life is refused")
    func others() {
        let direct = RecoveryOffset(broadcast: 7, direct: 3).text(epoch: "e", sid: "earlier-one")
        #expect(RecoveryOffset(direct, epoch: "e", sid: "abcdefgh") == RecoveryOffset(broadcast: 0))
        #expect(RecoveryOffset(direct, epoch: "f", sid: "earlier-one") == nil)
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", ".", "e", "e.", "e.-1", "e.+1", "e.1.2", "e.1.2.", "e.1.2.abc", "e.1.0.abcdef", "e.1.x.abcdef", "e. 1",
            "e.1.2.abcdef.3", "e.9007199254740992", "e.99999999999999999999", ".1", "e.1e3", "e.0x1", "e.١",
            "e.1.2.abcdef" + String(repeating: "g", count: 100),
        ]
    )
    func garbage(_ text: String) {
        #expect(RecoveryOffset(text, epoch: "e", sid: "abcdefgh") == nil)
        #expect(RecoveryOffset(text, epoch: "", sid: "abcdefgh") == nil)
    }
}

@Suite struct MemoryRecoveryTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000)

    private static func memory(_ change: (inout ConnectionStateRecovery) -> Void = { _ in }) -> MemoryRecovery {
        var settings = ConnectionStateRecovery()
        settings.maxDisconnectionDuration = .seconds(10)
        change(&settings)
        return MemoryRecovery(epoch: "e", settings: settings)
    }

    private static func request(_ session: RecoverySession, _ offset: String? = nil) -> RecoveryRequest {
        RecoveryRequest(pid: session.pid, offset: offset, owner: "new", namespace: "/")
    }

    private static func session(_ memory: inout MemoryRecovery, sid: String = "sid-of-somebody") -> RecoverySession {
        let session = RecoverySession(sid: sid, namespace: "/")
        session.begin(at: memory.log.last, epoch: "e")
        memory.began(session.pid, sid: sid, owner: session.owner, start: session.start, now: Self.start)
        return session
    }

    /// Claims in a copy: a claim changes the owner.
    private static func canClaim(_ memory: MemoryRecovery, _ request: RecoveryRequest, after time: TimeAmount = .zero)
        -> Bool
    {
        var copy = memory
        return copy.claim(request, now: Self.start + time) != nil
    }

    @Test("A session can be had until the moment its time is over, and not while it is open")
    func deadline() {
        var memory = Self.memory()
        let session = Self.session(&memory)
        #expect(!Self.canClaim(memory, Self.request(session)))
        memory.park(session, data: nil, now: Self.start)
        #expect(!Self.canClaim(memory, Self.request(session), after: .seconds(10)))
        #expect(Self.canClaim(memory, Self.request(session), after: .nanoseconds(9_999_999_999)))
        memory.expire(now: Self.start + .seconds(10))
        #expect(memory.sessionCount == 0)
    }

    @Test("Who claimed last has the session; the one before cannot read, end or extend it")
    func owners() {
        var memory = Self.memory()
        let session = Self.session(&memory)
        memory.park(session, data: 1, now: Self.start)
        let first = memory.claim(Self.request(session), now: Self.start)
        let request = RecoveryRequest(pid: session.pid, offset: nil, owner: "newer", namespace: "/")
        let second = memory.claim(request, now: Self.start)
        #expect(first.flatMap { memory.missed($0) } == nil)
        #expect(second.flatMap { memory.missed($0) } != nil)
        memory.forget(session.pid, owner: session.owner)
        memory.forget(session.pid, owner: "new")
        #expect(memory.sessionCount == 1)
        memory.forget(session.pid, owner: "newer")
        #expect(memory.sessionCount == 0)
    }

    @Test("Sessions that wait are bounded, the oldest go first")
    func sessions() {
        var memory = Self.memory { $0.maxSessionsPerNamespace = 2 }
        let sessions = (0..<3).map { Self.session(&memory, sid: "sid-of-number-\($0)") }
        for session in sessions { memory.park(session, data: nil, now: Self.start) }
        #expect(!Self.canClaim(memory, Self.request(sessions[0])))
        #expect(Self.canClaim(memory, Self.request(sessions[1])))
        #expect(Self.canClaim(memory, Self.request(sessions[2])))
    }

    @Test("Events to one socket are bounded for all together; who needs one that is gone gets nothing")
    func directs() {
        var memory = Self.memory { $0.maxEventsPerNamespace = 3 }
        let (one, two) = (Self.session(&memory, sid: "one-of-them"), Self.session(&memory, sid: "two-of-them"))
        func emit(_ session: RecoverySession) -> String {
            let offset = session.nextDirect(after: 0, epoch: "e")
            memory.emitted(.event("/", "n", []), at: offset, pid: session.pid, owner: session.owner)
            return offset.text(epoch: "e", sid: session.sid)
        }
        let offsets = [emit(one), emit(one), emit(two), emit(two)]
        for session in [one, two] { memory.park(session, data: nil, now: Self.start) }
        // The first one's first event is gone: who has had it misses nothing, who has not cannot be helped.
        #expect(!Self.canClaim(memory, Self.request(one)))
        let claim = memory.claim(Self.request(one, offsets[0]), now: Self.start)
        #expect(claim.flatMap { memory.missed($0) }?.events.count == 1)
        let other = memory.claim(Self.request(two), now: Self.start)
        #expect(other.flatMap { memory.missed($0) }?.events.count == 2)
    }

    @Test("Broadcasts and events to one socket come in the order in which they were sent")
    func merged() {
        var memory = Self.memory()
        let session = Self.session(&memory)
        func direct() {
            let offset = session.nextDirect(after: memory.log.last, epoch: "e")
            memory.emitted(.event("/", "d", []), at: offset, pid: session.pid, owner: session.owner)
        }
        func broadcast() { _ = memory.append(.event("/", "b", []), rooms: [], except: [], now: Self.start) }
        direct()
        broadcast()
        direct()
        direct()
        broadcast()
        memory.park(session, data: nil, now: Self.start)
        let all = memory.claim(Self.request(session), now: Self.start).flatMap { memory.missed($0) }
        #expect(
            all?.events.map(\.offset) == [
                RecoveryOffset(broadcast: 0, direct: 1), RecoveryOffset(broadcast: 1),
                RecoveryOffset(broadcast: 1, direct: 2),
                RecoveryOffset(broadcast: 1, direct: 3), RecoveryOffset(broadcast: 2),
            ]
        )
        let rest = memory.claim(Self.request(session, "e.1"), now: Self.start).flatMap { memory.missed($0) }
        #expect(rest?.events.count == 3)
    }
}
