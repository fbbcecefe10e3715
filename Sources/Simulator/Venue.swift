/// The seats of the event as its layout lists them, then its standing places, which are on no map. A seat is its place in that list, so that a fan's memory of one is
/// four bytes.
package struct Venue: Sendable {
    package let eventID: String
    package let seatIDs: [String]
    /// Which seats lie beside each other: same number, same row.
    package let rows: [Int32]
    package let maxSeatsPerUser: Int
    package let hold: Duration
    package let hasQueue: Bool
    package let isLobby: Bool
    /// Names of the standing areas.
    package let areas: [String]
    /// The first so many are on the map.
    package let numbered: Int
    private let places: [String: Int32]

    package init(
        eventID: String,
        seats: [(id: String, row: String)],
        maxSeatsPerUser: Int,
        hold: Duration,
        hasQueue: Bool,
        isLobby: Bool = false,
        standing: [(name: String, capacity: Int)] = []
    ) {
        let places = standing.flatMap { area in
            (1...max(area.capacity, 1)).map { (id: "\(area.name)-0-\($0)", row: area.name) }
        }
        self.areas = standing.map(\.name)
        self.numbered = seats.count
        let seats = seats + places
        self.eventID = eventID
        self.seatIDs = seats.map(\.id)
        var numbers: [String: Int32] = [:]
        self.rows = seats.map { seat in
            let number = numbers[seat.row] ?? Int32(numbers.count)
            numbers[seat.row] = number
            return number
        }
        self.maxSeatsPerUser = maxSeatsPerUser
        self.hold = hold
        self.hasQueue = hasQueue
        self.isLobby = isLobby
        self.places = Dictionary(
            seats.enumerated().map { ($0.element.id, Int32($0.offset)) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    package func place(_ id: String) -> Int32? { self.places[id] }
    package func places(_ ids: [String]) -> [Int32] { ids.compactMap { self.places[$0] } }
    package func name(_ seat: Int32) -> String {
        self.seatIDs.indices.contains(Int(seat)) ? self.seatIDs[Int(seat)] : "seat \(seat)"
    }
    package func names(_ seats: [Int32]) -> [String] { seats.map(self.name) }

    /// Seats somebody would like, as they see the map: beside each other, near the front, where everybody wants to be.
    ///
    /// - Parameter statuses: one character a seat: `a` is free.
    /// - Returns: `wants` seats of one row, else a single one, else `nil`.
    package func choose(_ wants: Int, among statuses: [UInt8], _ random: inout FanRandom) -> [Int32]? {
        let count = min(self.numbered, statuses.count)
        guard count > 0, wants > 0 else { return nil }
        let front = random.fraction()
        let start = Int(Double(count) * front * front * front)
        var run: [Int32] = []
        var single: Int32?
        for step in 0..<count {
            let seat = (start + step) % count
            guard statuses[seat] == UInt8(ascii: "a") else {
                run.removeAll(keepingCapacity: true)
                continue
            }
            if single == nil { single = Int32(seat) }
            if let last = run.last, self.rows[Int(last)] != self.rows[seat] || Int(last) + 1 != seat {
                run.removeAll(keepingCapacity: true)
            }
            run.append(Int32(seat))
            if run.count == wants { return run }
        }
        return single.map { [$0] }
    }
}
