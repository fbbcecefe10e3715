package import SocketIOClient

/// What is played: who comes, when, and how they behave. The same plan and seed make the same fans.
package struct SimulationPlan: Sendable {
    package var eventID: String
    package var servers: [ServerAddress]
    package var fans: Int
    package var seed: UInt64 = 1
    /// Everybody has come by then; most of them early, as at the minute of an opening.
    package var arrival: Duration = .seconds(10)
    /// The median of how long a person takes to make up their mind.
    package var thinking: Duration = .seconds(2)
    /// The play ends at the latest then.
    package var duration: Duration = .seconds(300)
    /// Shares of the fans, 0 to 1.
    package var bots = 0.05
    package var dropOuts = 0.2
    package var reloads = 0.1
    package var abandoned = 0.05
    /// People with the page open in a second tab.
    package var secondTabs = 0.05
    /// Payments that are declined at first, take their time, or are never answered.
    package var declined = 0.1
    package var slow = 0.05
    package var unanswered = 0.01
    /// When the sale is paused, from the beginning on, and for how long.
    package var pause: (at: Duration, lasting: Duration)?
    /// A file of certificates (PEM) to trust beside nobody else; the system's without.
    package var certificates: String?
    /// Checked if known: the event's `maxActive`.
    package var maxActive: Int?
    /// How many times Redis fails over during the play; each time all holds may end at once.
    package var failovers = 0
    /// How long a request may take before a fan gives it up.
    package var patience: Duration = .seconds(30)

    /// Whether the command looks into the database when all is over.
    package var auditsDatabase = false

    /// Makes the keys of orders differ from those of the same fans in an earlier play.
    package let run = "play-\(UInt64.random(in: 0...UInt64.max))"

    package init(eventID: String, servers: [ServerAddress], fans: Int) {
        self.eventID = eventID
        self.servers = servers
        self.fans = fans
    }

    /// Whether a breach of this rule would be noticed.
    func checks(_ rule: Breach.Rule, _ venue: Venue) -> Bool {
        switch rule {
        case .database: self.auditsDatabase
        case .tooManyActive: self.maxActive != nil
        case .soldWhilePaused, .admittedWhilePaused: self.pause != nil
        case .drawNotFair: venue.isLobby
        case .overtaken, .positionWorse: venue.hasQueue
        case .nonsenseAccepted: self.bots > 0
        case .tabNotTold: self.secondTabs + self.bots > 0
        default: true
        }
    }

    /// When each fan comes: a burst that dies away.
    package func arrivals() -> [Moment] {
        var random = FanRandom(seed: self.seed, stream: -1)
        return (0..<self.fans).map { _ in
            let early = random.fraction()
            return .seconds(self.arrival.inSeconds * early * early)
        }
    }
}
