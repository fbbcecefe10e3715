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
        var fans: [Shard.Fan] = []
        var tokenOfUser: [String] = []
        for number in 0..<plan.fans {
            // A bot with many tabs: the next fans are the same user.
            if tabsLeft > 0 {
                tabsLeft -= 1
            } else {
                if random.chance(plan.bots / 8) { tabsLeft = 3 }
                tokenOfUser.append(tokens[tokenOfUser.count])
            }
            let user = tokenOfUser.count - 1
            let isTab = tabsLeft > 0 || fans.last?.user == user
            var own = FanRandom(seed: plan.seed, stream: number)
            let traits = FanTraits(plan, most: venue.maxSeatsPerUser, kind: isTab ? .tab : nil, &own)
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
