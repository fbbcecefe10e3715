import HoldfastCore
import Simulator
import SocketIOClient
import Testing

@Suite struct FanStateTests {
    private static func venue(_ seats: Int = 40, standing: Int = 0) -> Venue {
        Venue(
            eventID: "e",
            seats: (0..<seats).map { (id: "A-\($0 / 10 + 1)-\($0 % 10 + 1)", row: "A-\($0 / 10 + 1)") },
            maxSeatsPerUser: 4,
            hold: .seconds(60),
            hasQueue: true,
            standing: standing > 0 ? [("Floor", standing)] : []
        )
    }

    private static func plan(_ change: (inout SimulationPlan) -> Void = { _ in }) -> SimulationPlan {
        var plan = SimulationPlan(eventID: "e", servers: [ServerAddress(host: "a", port: 1)], fans: 1)
        (plan.bots, plan.dropOuts, plan.reloads, plan.abandoned, plan.unanswered) = (0, 0, 0, 0, 0)
        change(&plan)
        return plan
    }

    private static func fan(
        _ plan: SimulationPlan = plan(),
        seed: UInt64 = 3,
        kind: FanTraits.Kind? = .person,
        venue: Venue = venue()
    ) -> FanState {
        var random = FanRandom(seed: seed)
        let traits = FanTraits(plan, most: 4, kind: kind, &random)
        return FanState(
            traits: traits,
            venue: venue,
            arrivesAt: .seconds(1),
            server: 0,
            serverCount: 2,
            thinking: .seconds(1),
            random: random
        )
    }

    /// A service that does what is asked, at once; and remembers what was asked.
    private struct KindService {
        var asked: [FanRequest] = []
        var now = Moment.zero
        var actions: [FanAction] = []
        var taken: Set<Int32> = []
        /// So often a choice is refused because the sale is paused.
        var pausedFor = 0

        /// Lets the fan live until done or for so many steps.
        mutating func live(_ fan: inout FanState, steps: Int = 500) {
            for _ in 0..<steps where fan.outcome == nil {
                guard let wakeAt = fan.wakeAt else { return }
                self.now = max(self.now, wakeAt)
                var events: [FanEvent] = [.woken]
                while !events.isEmpty {
                    let done = fan.handle(events.removeFirst(), now: self.now)
                    self.actions += done
                    events += done.flatMap { self.react($0) }
                    self.now = self.now + .milliseconds(10)
                }
            }
        }

        private mutating func react(_ action: FanAction) -> [FanEvent] {
            switch action {
            case .connect: return [.connected]
            case .cut, .close, .finish: return []
            case .request(let request, _):
                self.asked.append(request)
                return [self.answer(request)]
            }
        }

        private var isPaused: Bool {
            mutating get {
                self.pausedFor -= 1
                return self.pausedFor >= 0
            }
        }

        private static let order = ReservationID()

        private mutating func answer(_ request: FanRequest) -> FanEvent {
            var answer = FanAnswer()
            if request.isHTTP { answer.httpStatus = 200 } else { answer.ok = true }
            let venue = FanStateTests.venue()
            switch request {
            case .joinQueue, .checkQueue: answer.status = "admitted"
            case .look:
                var map = [UInt8](repeating: UInt8(ascii: "a"), count: 40)
                for seat in self.taken { map[Int(seat)] = UInt8(ascii: "r") }
                return .seatMap(map)
            case .select where self.isPaused: (answer.ok, answer.code) = (false, "EVENT_NOT_OPEN")
            case .select(let seats): answer.selectedSeats = venue.names(seats)
            case .stand(_, let count): answer.selectedSeats = venue.names((0..<Int32(count)).map { $0 })
            case .bestAvailable where self.taken.count == 40: (answer.ok, answer.code) = (false, "SEAT_UNAVAILABLE")
            case .bestAvailable(let count): answer.selectedSeats = venue.names((0..<Int32(count)).map { $0 })
            case .reserve:
                answer.httpStatus = 201
                answer.reservationId = Self.order
            case .pay(_, let method):
                answer.httpStatus = method == "sandbox-decline" ? 402 : method == "sandbox-never" ? 202 : 200
                answer.success = answer.httpStatus == 200
            case .joinEvent, .enter, .extend, .cancel, .leaveQueue: break
            case .nonsense: answer.ok = false
            }
            return .answered(answer)
        }
    }

    @Test("With a kind service every person buys, and asks in the right order")
    func buys() {
        for seed in 1...200 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(seed: seed), KindService())
            service.live(&fan)
            #expect(fan.outcome == .bought || fan.outcome == .cancelled, "seed \(seed)")
            #expect(service.asked.starts(with: [.joinEvent, .joinQueue, .enter, .look]), "seed \(seed)")
            #expect(service.actions.count { if case .finish = $0 { true } else { false } } == 1)
        }
    }

    @Test("The same seed lives the same life")
    func deterministic() {
        for seed in 1...50 as ClosedRange<UInt64> {
            let plan = Self.plan { ($0.dropOuts, $0.reloads, $0.abandoned, $0.bots) = (0.5, 0.5, 0.3, 0.5) }
            var (one, two) = (Self.fan(plan, seed: seed, kind: nil), Self.fan(plan, seed: seed, kind: nil))
            var (first, second) = (KindService(), KindService())
            first.live(&one)
            second.live(&two)
            #expect(first.actions == second.actions && one.outcome == two.outcome)
            #expect(one.outcome != nil, "seed \(seed)")
        }
    }

    @Test("A fan acts when due, not before, and says since when the action was due")
    func due() {
        var fan = Self.fan()
        #expect(fan.handle(.woken, now: .seconds(0.5)).isEmpty)
        #expect(fan.handle(.woken, now: .seconds(4)) == [.connect(server: 0, due: .seconds(1))])
    }

    @Test("A refused seat makes a fan look again")
    func conflict() throws {
        // One of the many who choose for themselves.
        let chooser = (1...20 as ClosedRange<UInt64>).lazy.map { Self.fan(seed: $0) }.first { !$0.traits.asksForBest }
        var fan = try #require(chooser)
        _ = fan.handle(.woken, now: .seconds(1))
        _ = fan.handle(.connected, now: .seconds(1))
        var answer = FanAnswer()
        answer.ok = true
        _ = fan.handle(.answered(answer), now: .seconds(1))
        answer.status = "admitted"
        _ = fan.handle(.answered(answer), now: .seconds(1))
        func next(_ event: FanEvent? = nil) -> FanRequest? {
            let actions = event.map { fan.handle($0, now: fan.wakeAt ?? .seconds(100)) } ?? []
            for action in actions + fan.handle(.woken, now: fan.wakeAt ?? .seconds(100)) {
                if case .request(let request, _) = action { return request }
            }
            return nil
        }
        #expect(next() == .enter)
        #expect(next(.answered(answer)) == .look)
        guard case .select = next(.seatMap([UInt8](repeating: UInt8(ascii: "a"), count: 40))) else {
            Issue.record("no choice")
            return
        }
        var refusal = FanAnswer()
        (refusal.ok, refusal.code, refusal.unavailable) = (false, "SEAT_UNAVAILABLE", ["A-1-1"])
        #expect(next(.answered(refusal)) == .look)
    }

    @Test("Who would rather stand asks for standing places, where there are some")
    func stands() {
        var standing = 0
        for seed in 1...100 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(seed: seed, venue: Self.venue(standing: 10)), KindService())
            service.live(&fan)
            #expect(fan.outcome == .bought || fan.outcome == .cancelled, "seed \(seed)")
            if service.asked.contains(where: { if case .stand = $0 { true } else { false } }) { standing += 1 }
        }
        #expect((10...60).contains(standing))
    }

    @Test("While the sale is paused a fan waits and tries again, and buys in the end")
    func paused() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(seed: seed), KindService())
            service.pausedFor = 20
            service.live(&fan)
            #expect(fan.outcome == .bought || fan.outcome == .cancelled, "seed \(seed)")
        }
    }

    @Test("Who is never told what became of their payment goes away, and asks to pay once")
    func neverAnswered() {
        let plan = Self.plan { ($0.declined, $0.slow, $0.unanswered) = (0, 0, 1) }
        var unsettled = 0
        for seed in 1...50 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(plan, seed: seed), KindService())
            service.live(&fan)
            #expect(fan.outcome == .unsettled || fan.outcome == .cancelled, "seed \(seed)")
            #expect(service.asked.count { if case .pay = $0 { true } else { false } } <= 1, "seed \(seed)")
            if fan.outcome == .unsettled { unsettled += 1 }
        }
        #expect(unsettled > 40)
    }

    @Test("A second tab follows its person in, chooses nothing, and leaves the queue to the first")
    func onlooker() {
        for seed in 1...30 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(seed: seed, kind: .onlooker), KindService())
            service.live(&fan, steps: 1)
            _ = fan.handle(.admitted, now: service.now)
            service.live(&fan)
            #expect(fan.outcome == .lookedOn, "seed \(seed)")
            #expect(Set(service.asked.map(\.name)) == ["join event", "enter"], "seed \(seed)")
        }
    }

    @Test("Who loses the network comes back on another server and goes on")
    func dropOut() {
        let plan = Self.plan { $0.dropOuts = 1 }
        var cuts = 0
        for seed in 1...40 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(plan, seed: seed), KindService())
            service.live(&fan)
            #expect(fan.outcome == .bought || fan.outcome == .cancelled, "seed \(seed)")
            guard service.actions.contains(.cut) else { continue }
            cuts += 1
            let servers = service.actions.compactMap { if case .connect(let server, _) = $0 { server } else { nil } }
            #expect(servers.count > 1 && servers[0] != servers[1], "seed \(seed)")
        }
        #expect(cuts > 20)
    }

    @Test("Who loses the network while they pay comes back when the answer has come")
    func lostWhilePaying() throws {
        var fan = Self.fan()
        var service = KindService()
        for _ in 0..<100 {
            if case .reserve = service.asked.last { break }
            service.live(&fan, steps: 1)
        }
        // The service is asked to pay, and the socket goes before it answers.
        let wakeAt = try #require(fan.wakeAt)
        let asked = fan.handle(.woken, now: wakeAt)
        guard case .request(.pay, _)? = asked.first else {
            Issue.record("asks \(asked)")
            return
        }
        _ = fan.handle(.disconnected, now: wakeAt + .milliseconds(10))
        var answer = FanAnswer()
        (answer.httpStatus, answer.success) = (200, true)
        _ = fan.handle(.answered(answer), now: wakeAt + .seconds(1))
        service.now = wakeAt + .seconds(1)
        service.live(&fan)
        #expect(fan.outcome == .bought)
    }

    @Test("An order without an answer is tried again under the same key")
    func sameKey() {
        var (fan, service) = (Self.fan(seed: 4), KindService())
        // Up to the order: the service answers nothing from there on.
        while fan.outcome == nil, !service.asked.contains(where: { if case .reserve = $0 { true } else { false } }) {
            let before = fan
            service.live(&fan, steps: 1)
            if service.asked.contains(where: { if case .reserve = $0 { true } else { false } }) { fan = before }
        }
        let first = fan.handle(.woken, now: fan.wakeAt ?? .zero)
        _ = fan.handle(.unanswered, now: .seconds(1_000))
        let second = fan.handle(.woken, now: .seconds(1_100))
        guard case .request(let one, _) = first.first, case .request(let two, _) = second.first else {
            Issue.record("no request")
            return
        }
        #expect(one == two)
    }

    @Test("Nobody left to buy: the fan goes away")
    func soldOut() {
        var (fan, service) = (Self.fan(seed: 6), KindService())
        service.taken = Set(0..<40)
        service.live(&fan)
        #expect(fan.outcome == .soldOut)
        #expect(service.asked.count < 30, "nobody asks for ever")
    }

    @Test("The kinds of bots do their mischief and end", arguments: FanTraits.Kind.allCases)
    func bots(_ kind: FanTraits.Kind) {
        for seed in 1...30 as ClosedRange<UInt64> {
            var (fan, service) = (Self.fan(seed: seed, kind: kind), KindService())
            service.live(&fan)
            #expect(fan.outcome != nil, "\(kind) \(seed)")
            if kind == .vandal {
                let nonsense = service.asked.count { if case .nonsense = $0 { true } else { false } }
                #expect(nonsense == Nonsense.all.count)
            }
        }
    }

    @Test("Whatever is said to a fan, and whenever, one thing is done at a time and nothing traps")
    func anything() {
        var random = FanRandom(seed: 11)
        for seed in 1...300 as ClosedRange<UInt64> {
            let plan = Self.plan { ($0.dropOuts, $0.reloads, $0.abandoned, $0.bots) = (0.5, 0.5, 0.3, 0.5) }
            var fan = Self.fan(plan, seed: seed, kind: nil)
            var now = Moment.seconds(1)
            for _ in 0..<300 {
                var answer = FanAnswer()
                answer.ok = random.chance(0.5)
                answer.httpStatus = random.chance(0.5) ? [200, 201, 402, 409, 503].randomElement(using: &random) : nil
                answer.status = ["waiting", "admitted", "closed", nil].randomElement(using: &random) ?? nil
                answer.code =
                    ["NOT_ADMITTED", "NOT_HELD", "SEAT_UNAVAILABLE", nil].randomElement(using: &random) ?? nil
                answer.selectedSeats = random.chance(0.3) ? ["A-1-1", "no seat"] : nil
                answer.reservationId = random.chance(0.5) ? ReservationID() : nil
                let events: [FanEvent] = [
                    .woken, .woken, .connected, .notConnected(isFinal: false), .disconnected, .answered(answer),
                    .answered(answer), .answered(answer), .unanswered, .seatMap([97, 97, 114]), .admitted, .passEnded,
                    .holdExpired, .draining(.seconds(1)),
                ]
                let actions = fan.handle(events.randomElement(using: &random) ?? .woken, now: now)
                #expect(actions.count { if case .request = $0 { true } else { false } } <= 1)
                now = max(now + .milliseconds(50), random.chance(0.5) ? fan.wakeAt ?? now : now)
            }
        }
    }

    @Test("Choices lie in one row beside each other, and popular seats are chosen more often")
    func choice() {
        let venue = Self.venue(100)
        var random = FanRandom(seed: 1)
        var front = 0
        for _ in 0..<500 {
            let seats = venue.choose(3, among: [UInt8](repeating: UInt8(ascii: "a"), count: 100), &random) ?? []
            #expect(seats.count == 3 && seats[1] == seats[0] + 1 && seats[2] == seats[0] + 2)
            #expect(Set(seats.map { venue.rows[Int($0)] }).count == 1)
            if seats[0] < 20 { front += 1 }
        }
        #expect(front > 200)
        #expect(venue.choose(1, among: [UInt8](repeating: UInt8(ascii: "l"), count: 100), &random) == nil)
    }

    @Test("The same plan makes the same arrivals, all within their time")
    func arrivals() {
        let plan = Self.plan { $0.fans = 1_000 }
        #expect(plan.arrivals() == plan.arrivals())
        #expect(plan.arrivals().allSatisfy { $0 >= .zero && $0 <= .seconds(10) })
        #expect(plan.arrivals().count { $0 < .seconds(2.5) } > 400, "a burst, most of them early")
    }
}
