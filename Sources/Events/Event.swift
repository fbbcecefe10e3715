package import HoldfastCore

/// Whether the seats of an event can be had now.
package enum EventStatus: String, Codable, Sendable, CaseIterable {
    /// Announced; opens by itself at `opensAt`, or by command.
    case scheduled
    case open
    /// No new holds; reservations in progress may be paid.
    case paused
    /// Over, for ever.
    case closed

    /// The statuses from which this one can be reached. A repeated command is no change, so each contains itself.
    package var reachableFrom: [EventStatus] {
        switch self {
        case .scheduled: [.scheduled]
        case .open: [.scheduled, .open, .paused]
        case .paused: [.open, .paused]
        case .closed: EventStatus.allCases
        }
    }
}

/// How seats of an event are sold.
package struct SaleRules: Sendable, Equatable, Codable {
    /// `nil`: the event opens by command only.
    package var opensAt: ServerTime?
    /// Holds, pending and paid seats together. 1 to 100.
    package var maxSeatsPerUser: Int
    /// 1 to 86,400.
    package var holdSeconds: Int
    package var noOrphanSeats: Bool

    package init(
        opensAt: ServerTime? = nil,
        maxSeatsPerUser: Int = 4,
        holdSeconds: Int = 300,
        noOrphanSeats: Bool = false
    ) {
        self.opensAt = opensAt
        self.maxSeatsPerUser = maxSeatsPerUser
        self.holdSeconds = holdSeconds
        self.noOrphanSeats = noOrphanSeats
    }
}

/// In which order the waiting room lets people in.
package enum QueueMode: String, Codable, Sendable, CaseIterable {
    /// First come, first served.
    case fifo
    /// Who comes before the opening is drawn at random when it opens; who comes later queues behind.
    case lobby
}

/// How the waiting room of an event lets people in. All but `mode` may change while it runs.
package struct QueueRules: Sendable, Equatable, Codable {
    package var enabled: Bool
    /// Passes alive at the same time. 1 to 1,000,000.
    package var maxActive: Int
    /// Admissions per minute. 1 to 10,000,000.
    package var ratePerMinute: Int
    package var mode: QueueMode
    /// Life of a pass. 1 to 86,400.
    package var passSeconds: Int
    /// Nobody is let in while set. Not part of an event file.
    package var paused: Bool

    package init(
        enabled: Bool = true,
        maxActive: Int = 1_000,
        ratePerMinute: Int = 600,
        mode: QueueMode = .fifo,
        passSeconds: Int = 600,
        paused: Bool = false
    ) {
        self.enabled = enabled
        self.maxActive = maxActive
        self.ratePerMinute = ratePerMinute
        self.mode = mode
        self.passSeconds = passSeconds
        self.paused = paused
    }

    package static let disabled = QueueRules(enabled: false)
}

/// A block of numbered seats with one price.
package struct Section: Sendable, Equatable, Codable {
    package var name: String
    package var rows: Int
    package var seatsPerRow: Int
    /// In the currency's smallest unit that the event counts in.
    package var price: Int64

    package init(name: String, rows: Int, seatsPerRow: Int, price: Int64) {
        self.name = name
        self.rows = rows
        self.seatsPerRow = seatsPerRow
        self.price = price
    }

    /// Never overflows once the file was validated.
    package var seatCount: Int { rows * seatsPerRow }

    /// Whether the section has a seat of this name.
    package func contains(_ seat: SeatID) -> Bool {
        let parts = seat.rawValue.dropFirst(name.count + 1).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let row = Int(parts[0]), let number = Int(parts[1]),
            row >= 1, row <= rows, number >= 1, number <= seatsPerRow
        else { return false }
        // "VIP-01-5" and the seats of other sections are written otherwise.
        return SeatID(section: name, row: row, number: number) == seat
    }
}

/// A standing area: places that are counted, not chosen.
package struct GeneralAdmission: Sendable, Equatable, Codable {
    package var name: String
    package var capacity: Int
    package var price: Int64

    package init(name: String, capacity: Int, price: Int64) {
        self.name = name
        self.capacity = capacity
        self.price = price
    }
}

/// What is on sale.
package struct Event: Sendable, Equatable {
    package var id: EventID
    package var title: String
    package var venue: String
    package var startsAt: ServerTime
    /// Three capital letters, ISO 4217.
    package var currency: String
    package var status: EventStatus
    package var sale: SaleRules
    package var queue: QueueRules
    package var sections: [Section]
    package var generalAdmission: [GeneralAdmission]
    /// Rises when seats are added or prices change; a layout of one version never changes.
    package var layoutVersion: Int
    /// Numbered seats only; see ``placeCount``.
    package var seatCount: Int
    package var createdAt: ServerTime
    /// Rises with every change of the queue's rules.
    package var queueVersion: Int64

    package init(
        id: EventID,
        title: String,
        venue: String,
        startsAt: ServerTime,
        currency: String,
        status: EventStatus,
        sale: SaleRules,
        queue: QueueRules,
        sections: [Section],
        generalAdmission: [GeneralAdmission],
        layoutVersion: Int,
        seatCount: Int,
        createdAt: ServerTime,
        queueVersion: Int64 = 1
    ) {
        self.id = id
        self.title = title
        self.venue = venue
        self.startsAt = startsAt
        self.currency = currency
        self.status = status
        self.sale = sale
        self.queue = queue
        self.sections = sections
        self.generalAdmission = generalAdmission
        self.layoutVersion = layoutVersion
        self.seatCount = seatCount
        self.createdAt = createdAt
        self.queueVersion = queueVersion
    }

    /// Numbered seats and standing places.
    package var placeCount: Int { generalAdmission.reduce(seatCount) { $0 + $1.capacity } }
}
