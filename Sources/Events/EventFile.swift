package import Foundation
package import HoldfastCore

/// What an organiser hands in to put an event on sale.
///
/// - Shape: the contract's event file. Absent parts take the values shown there; without `queue` there is no waiting
///   room.
/// - Bounds: at most 100 sections and standing areas, 100,000 numbered seats, 100,000 standing places.
package struct EventFile: Sendable, Equatable {
    package var title: String
    package var venue: String
    package var startsAt: ServerTime
    package var currency: String
    package var sale: SaleRules
    package var queue: QueueRules
    package var sections: [Section]
    package var generalAdmission: [GeneralAdmission]
    /// Seats that are not on sale. Written in the file as `blocked` of a section.
    package var blocked: [SeatID] = []
    /// Seats for those who ask for them. Written in the file as `accessible` of a section.
    package var accessible: [SeatID] = []

    package static let maxSections = 100
    package static let maxSeats = 100_000
    package static let maxStandingPlaces = 100_000

    package init(
        title: String,
        venue: String,
        startsAt: ServerTime,
        currency: String = "KRW",
        sale: SaleRules = SaleRules(),
        queue: QueueRules = .disabled,
        sections: [Section],
        generalAdmission: [GeneralAdmission] = []
    ) {
        self.title = title
        self.venue = venue
        self.startsAt = startsAt
        self.currency = currency
        self.sale = sale
        self.queue = queue
        self.sections = sections
        self.generalAdmission = generalAdmission
    }

    /// Reads and validates the JSON of an event file.
    ///
    /// - Throws: ``Problem`` with ``ProblemCode/malformedRequest`` for what is not JSON, with ``ProblemCode/invalid``
    ///   and the fields for the rest.
    package init(json: Data) throws(Problem) {
        do {
            self = try JSONDecoder().decode(EventFile.self, from: json)
        } catch let error as DecodingError {
            throw Self.problem(of: error)
        } catch {
            throw Problem(.malformedRequest, "The event file is not JSON.")
        }
        try validate()
    }

    private static func problem(of error: DecodingError) -> Problem {
        func field(_ path: [any CodingKey]) -> String {
            let parts = path.map { key in key.intValue.map(String.init) ?? key.stringValue }
            return parts.isEmpty ? "file" : parts.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context):
            return .invalid(.init(field(context.codingPath + [key]), "is missing"))
        case .valueNotFound(_, let context), .typeMismatch(_, let context):
            return .invalid(.init(field(context.codingPath), "has the wrong type"))
        case .dataCorrupted(let context):
            // An empty path is the parser's: there was no JSON to find a field in.
            return context.codingPath.isEmpty
                ? Problem(.malformedRequest, "The event file is not JSON, or has a number that cannot be used.")
                : .invalid(.init(field(context.codingPath), "has a value that is not allowed"))
        @unknown default:
            return Problem(.malformedRequest, "The event file cannot be read.")
        }
    }
}

extension EventFile: Codable {
    private enum CodingKeys: String, CodingKey {
        case title, venue, startsAt, currency, sale, queue, sections, generalAdmission
    }

    /// What a section says of single seats.
    private struct SeatMarks: Codable {
        let blocked: [SeatID]?
        let accessible: [SeatID]?
    }

    private enum SaleKeys: String, CodingKey { case opensAt, maxSeatsPerUser, holdSeconds, noOrphanSeats }

    private enum QueueKeys: String, CodingKey { case enabled, maxActive, ratePerMinute, mode, passSeconds }

    package init(from decoder: any Decoder) throws {
        let file = try decoder.container(keyedBy: CodingKeys.self)
        title = try file.decode(String.self, forKey: .title)
        venue = try file.decode(String.self, forKey: .venue)
        startsAt = try file.decode(ServerTime.self, forKey: .startsAt)
        currency = try file.decodeIfPresent(String.self, forKey: .currency) ?? "KRW"
        sections = try file.decodeIfPresent([Section].self, forKey: .sections) ?? []
        generalAdmission = try file.decodeIfPresent([GeneralAdmission].self, forKey: .generalAdmission) ?? []
        let marks = try file.decodeIfPresent([SeatMarks].self, forKey: .sections) ?? []
        blocked = marks.flatMap { $0.blocked ?? [] }
        accessible = marks.flatMap { $0.accessible ?? [] }
        sale = SaleRules()
        if file.contains(.sale), try !file.decodeNil(forKey: .sale) {
            let rules = try file.nestedContainer(keyedBy: SaleKeys.self, forKey: .sale)
            sale.opensAt = try rules.decodeIfPresent(ServerTime.self, forKey: .opensAt)
            sale.maxSeatsPerUser =
                try rules.decodeIfPresent(Int.self, forKey: .maxSeatsPerUser) ?? sale.maxSeatsPerUser
            sale.holdSeconds = try rules.decodeIfPresent(Int.self, forKey: .holdSeconds) ?? sale.holdSeconds
            sale.noOrphanSeats = try rules.decodeIfPresent(Bool.self, forKey: .noOrphanSeats) ?? sale.noOrphanSeats
        }
        queue = .disabled
        if file.contains(.queue), try !file.decodeNil(forKey: .queue) {
            let rules = try file.nestedContainer(keyedBy: QueueKeys.self, forKey: .queue)
            queue = QueueRules()
            queue.enabled = try rules.decodeIfPresent(Bool.self, forKey: .enabled) ?? queue.enabled
            queue.maxActive = try rules.decodeIfPresent(Int.self, forKey: .maxActive) ?? queue.maxActive
            queue.ratePerMinute = try rules.decodeIfPresent(Int.self, forKey: .ratePerMinute) ?? queue.ratePerMinute
            queue.mode = try rules.decodeIfPresent(QueueMode.self, forKey: .mode) ?? queue.mode
            queue.passSeconds = try rules.decodeIfPresent(Int.self, forKey: .passSeconds) ?? queue.passSeconds
        }
    }

    /// A section and, beside its own fields, its marks.
    private struct MarkedSection: Encodable {
        let section: Section
        let marks: SeatMarks

        func encode(to encoder: any Encoder) throws {
            try section.encode(to: encoder)
            try marks.encode(to: encoder)
        }
    }

    private func marked(_ section: Section) -> MarkedSection {
        func own(_ seats: [SeatID]) -> [SeatID]? {
            let own = seats.filter { section.contains($0) }
            return own.isEmpty ? nil : own
        }
        return MarkedSection(section: section, marks: SeatMarks(blocked: own(blocked), accessible: own(accessible)))
    }

    package func encode(to encoder: any Encoder) throws {
        var file = encoder.container(keyedBy: CodingKeys.self)
        try file.encode(title, forKey: .title)
        try file.encode(venue, forKey: .venue)
        try file.encode(startsAt, forKey: .startsAt)
        try file.encode(currency, forKey: .currency)
        var rules = file.nestedContainer(keyedBy: SaleKeys.self, forKey: .sale)
        try rules.encode(sale.opensAt, forKey: .opensAt)
        try rules.encode(sale.maxSeatsPerUser, forKey: .maxSeatsPerUser)
        try rules.encode(sale.holdSeconds, forKey: .holdSeconds)
        try rules.encode(sale.noOrphanSeats, forKey: .noOrphanSeats)
        var waiting = file.nestedContainer(keyedBy: QueueKeys.self, forKey: .queue)
        try waiting.encode(queue.enabled, forKey: .enabled)
        try waiting.encode(queue.maxActive, forKey: .maxActive)
        try waiting.encode(queue.ratePerMinute, forKey: .ratePerMinute)
        try waiting.encode(queue.mode, forKey: .mode)
        try waiting.encode(queue.passSeconds, forKey: .passSeconds)
        try file.encode(sections.map(marked), forKey: .sections)
        try file.encode(generalAdmission, forKey: .generalAdmission)
    }
}
