package import HoldfastCore

extension EventFile {
    /// Checks every bound and says all that is wrong at once, up to 20 fields.
    ///
    /// - Throws: ``Problem`` with ``ProblemCode/invalid``.
    package func validate() throws(Problem) {
        var errors: [Problem.FieldError] = []
        if !Self.isText(title, maxBytes: 400) { errors.append(.init("title", "must be 1 to 400 bytes of text")) }
        if !Self.isText(venue, maxBytes: 400) { errors.append(.init("venue", "must be 1 to 400 bytes of text")) }
        if currency.utf8.count != 3 || !currency.utf8.allSatisfy({ (65...90).contains($0) }) {
            errors.append(.init("currency", "must be three capital letters"))
        }
        errors += Self.errors(in: sale) + Self.errors(in: queue) + errorsInPlaces() + errorsInMarks()
        guard let first = errors.first else { return }
        throw Problem(.invalid, "\(first.field) \(first.detail).", errors: errors)
    }

    private static func errors(in sale: SaleRules) -> [Problem.FieldError] {
        var errors: [Problem.FieldError] = []
        if !(1...100).contains(sale.maxSeatsPerUser) {
            errors.append(.init("sale.maxSeatsPerUser", "must be 1 to 100"))
        }
        if !(1...86_400).contains(sale.holdSeconds) {
            errors.append(.init("sale.holdSeconds", "must be 1 to 86400"))
        }
        return errors
    }

    static func errors(in queue: QueueRules) -> [Problem.FieldError] {
        var errors: [Problem.FieldError] = []
        if !(1...1_000_000).contains(queue.maxActive) {
            errors.append(.init("queue.maxActive", "must be 1 to 1000000"))
        }
        if !(1...10_000_000).contains(queue.ratePerMinute) {
            errors.append(.init("queue.ratePerMinute", "must be 1 to 10000000"))
        }
        if !(1...86_400).contains(queue.passSeconds) {
            errors.append(.init("queue.passSeconds", "must be 1 to 86400"))
        }
        return errors
    }

    private func errorsInPlaces() -> [Problem.FieldError] {
        var errors: [Problem.FieldError] = []
        if sections.isEmpty && generalAdmission.isEmpty {
            errors.append(.init("sections", "must name at least one section"))
        }
        guard sections.count + generalAdmission.count <= Self.maxSections else {
            return errors + [.init("sections", "must be at most \(Self.maxSections)")]
        }
        var names: Set<String> = []
        var seats = 0
        for (index, section) in sections.enumerated() {
            let field = "sections.\(index)"
            if !Self.isSectionName(section.name) { errors.append(.init("\(field).name", Self.nameRule)) }
            if !names.insert(section.name).inserted { errors.append(.init("\(field).name", "is used twice")) }
            if !(0...1_000_000_000_000).contains(section.price) {
                errors.append(.init("\(field).price", "must be 0 to 1000000000000"))
            }
            if (1...10_000).contains(section.rows), (1...10_000).contains(section.seatsPerRow) {
                seats += section.seatCount
            } else {
                errors.append(.init("\(field).rows", "and seatsPerRow must be 1 to 10000"))
            }
        }
        var places = 0
        for (index, area) in generalAdmission.enumerated() {
            let field = "generalAdmission.\(index)"
            if !Self.isSectionName(area.name) { errors.append(.init("\(field).name", Self.nameRule)) }
            if !names.insert(area.name).inserted { errors.append(.init("\(field).name", "is used twice")) }
            if !(0...1_000_000_000_000).contains(area.price) {
                errors.append(.init("\(field).price", "must be 0 to 1000000000000"))
            }
            if (1...Self.maxStandingPlaces).contains(area.capacity) {
                places += area.capacity
            } else {
                errors.append(.init("\(field).capacity", "must be 1 to \(Self.maxStandingPlaces)"))
            }
        }
        if seats > Self.maxSeats { errors.append(.init("sections", "must have at most \(Self.maxSeats) seats")) }
        if places > Self.maxStandingPlaces {
            errors.append(.init("generalAdmission", "must have at most \(Self.maxStandingPlaces) places"))
        }
        return errors
    }

    private func errorsInMarks() -> [Problem.FieldError] {
        var errors: [Problem.FieldError] = []
        for (field, seats) in [("blocked", blocked), ("accessible", accessible)] {
            if let stranger = seats.first(where: { seat in !sections.contains { $0.contains(seat) } }) {
                errors.append(.init("sections.\(field)", "names \(stranger), which no section has"))
            }
            if Set(seats).count < seats.count {
                errors.append(.init("sections.\(field)", "names a seat twice"))
            }
        }
        return errors
    }

    private static let nameRule = "must be 1 to 64 bytes of text without spaces around it"

    /// 64 bytes leave room for row and number within the 96 bytes of a seat id.
    private static func isSectionName(_ name: String) -> Bool {
        isText(name, maxBytes: 64) && name.first?.isWhitespace == false && name.last?.isWhitespace == false
    }

    /// Control characters are refused: PostgreSQL stores no NUL, and the rest would only confuse logs and pages.
    private static func isText(_ text: String, maxBytes: Int) -> Bool {
        (1...maxBytes).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}
