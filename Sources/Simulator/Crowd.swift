/// Everybody who plays: fans, their users, their tokens.
struct Crowd {
    let fans: [Shard.Fan]
    let tokenOfUser: [String]
    let watcherToken: String
    var users: Int { self.tokenOfUser.count }

    /// - Throws: if there are fewer tokens than users.
    init(_ plan: SimulationPlan, _ venue: Venue, tokens: [String]) throws {
        guard tokens.count >= plan.fans else {
            throw SimulationError(
                "\(plan.fans) fans need as many tokens, there are \(tokens.count); run 'holdfast loadtest prepare' again"
            )
        }
        let arrivals = plan.arrivals()
        var random = FanRandom(seed: plan.seed, stream: -2)
        var tabsLeft = 0
        var tabKind: FanTraits.Kind?
        var fans: [Shard.Fan] = []
        var tokenOfUser: [String] = []
        for number in 0..<plan.fans {
            let isFirst = tabsLeft == 0
            if isFirst {
                // A bot with many tabs: the next fans are the same user. A person may have the page open a second time.
                if random.chance(plan.bots / 8) {
                    (tabsLeft, tabKind) = (3, .tab)
                } else {
                    tabKind = random.chance(plan.secondTabs) ? .onlooker : nil
                    tabsLeft = tabKind == nil ? 0 : 1
                }
                tokenOfUser.append(tokens[tokenOfUser.count])
            } else {
                tabsLeft -= 1
            }
            let user = tokenOfUser.count - 1
            var own = FanRandom(seed: plan.seed, stream: number)
            let kind = isFirst && tabKind == .onlooker ? nil : tabKind
            let traits = FanTraits(plan, most: venue.maxSeatsPerUser, kind: kind, &own)
            let state = FanState(
                traits: traits,
                venue: venue,
                arrivesAt: arrivals[number],
                server: Int(own.next() % UInt64(plan.servers.count)),
                serverCount: plan.servers.count,
                thinking: plan.thinking,
                random: own
            )
            fans.append(Shard.Fan(number: number, user: user, token: tokenOfUser[user], state: state))
        }
        self.fans = fans
        self.tokenOfUser = tokenOfUser
        self.watcherToken = tokens.count > tokenOfUser.count ? tokens[tokenOfUser.count] : tokens[0]
    }
}
