/// Who a fan is and what they will do, drawn once from their own chance.
package struct FanTraits: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case person
        /// Joins the queue again and again.
        case rejoiner
        /// One of several tabs of the same user.
        case tab
        /// A person's second tab: looks on and chooses nothing.
        case onlooker
        /// Takes the best seats and lets them go, many times.
        case grabber
        /// Sends what no client would, then behaves.
        case vandal

    }

    package enum Payment: Sendable, Equatable { case plain, slow, declinedFirst, neverAnswered }

    package let kind: Kind
    package let wants: Int
    package let payment: Payment
    package let asksForBest: Bool
    /// Would rather stand, where there are standing places.
    package let stands: Bool
    /// Leaves the seats in the basket and goes.
    package let abandons: Bool
    package let extends: Bool
    package let changesMind: Bool
    package let cancels: Bool
    /// Closes the browser in the end without leaving the queue.
    package let vanishes: Bool
    /// How often the network goes, or the page is loaded again.
    package let dropOuts: Int
    package let reloads: Int

    /// - Parameter kind: a tab has no choice.
    package init(_ plan: SimulationPlan, most: Int, kind: Kind? = nil, _ random: inout FanRandom) {
        let drawn: Kind =
            random.chance(plan.bots)
            ? [.rejoiner, .grabber, .vandal].randomElement(using: &random) ?? .vandal : .person
        self.kind = kind ?? drawn
        self.wants = min([1, 2, 2, 2, 3, 4].randomElement(using: &random) ?? 2, most)
        self.payment = Self.payment(plan, random.fraction())
        self.asksForBest = random.chance(0.15)
        self.stands = random.chance(0.3)
        self.abandons = random.chance(plan.abandoned)
        self.extends = random.chance(0.1)
        self.changesMind = random.chance(0.1)
        self.cancels = random.chance(0.03)
        self.vanishes = random.chance(0.05)
        self.dropOuts = random.chance(plan.dropOuts) ? 1 + Int(random.next() % 3) : 0
        self.reloads = random.chance(plan.reloads) ? 1 : 0
    }

    private static func payment(_ plan: SimulationPlan, _ drawn: Double) -> Payment {
        if drawn < plan.slow { return .slow }
        if drawn < plan.slow + plan.declined { return .declinedFirst }
        return drawn < plan.slow + plan.declined + plan.unanswered ? .neverAnswered : .plain
    }
}

extension Array {
    /// As the library's, which cannot take a generator that is a stored property of a struct being initialised.
    fileprivate func randomElement(using random: inout FanRandom) -> Element? {
        self.isEmpty ? nil : self[Int(random.next() % UInt64(self.count))]
    }
}
