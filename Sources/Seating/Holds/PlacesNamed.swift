import Events
import HoldfastCore
import Redis

extension Layout {
    /// How the scripts write a place; nil if the layout has none of this name.
    func place(_ id: SeatID) -> RedisArgument? { ordinal(of: id).map { RedisArgument("\($0):\(id)") } }

    func place(at ordinal: Int) -> RedisArgument { RedisArgument("\(ordinal):\(id(at: ordinal))") }

    /// What `Orphans.lua` must know of the sections that these places are in.
    func geometry(of ordinals: some Sequence<Int>) -> RedisArgument {
        var touched: [Block] = []
        for ordinal in ordinals where !touched.contains(where: { $0.ordinals.contains(ordinal) }) {
            if let block = block(of: ordinal) { touched.append(block) }
        }
        let numbers = touched.flatMap { [$0.ordinals.lowerBound, $0.ordinals.upperBound, $0.seatsPerRow] }
        return RedisArgument(numbers.map(String.init).joined(separator: " "))
    }
}

/// The places that a request names, as the layout knows them.
struct PlacesNamed {
    /// Ordinals without repetition: numbered seats, then standing places that are named one by one.
    var seats: [Int] = []
    var standing: [Int] = []
    var areas: [(area: Layout.Area, quantity: Int)] = []
    var unknownSeats: [SeatID] = []
    var unknownAreas: [String] = []

    /// - Parameter quantities: how many places of which standing area. They say all about an area, so that its places
    ///   among `ids` do not count.
    init(_ ids: [SeatID], _ quantities: [String: Int], in layout: Layout) {
        for (name, quantity) in quantities.sorted(by: { $0.key < $1.key }) {
            if let area = layout.area(named: name) {
                areas.append((area, quantity))
            } else {
                unknownAreas.append(name)
            }
        }
        for id in ids {
            guard let ordinal = layout.ordinal(of: id) else {
                unknownSeats.append(id)
                continue
            }
            if ordinal < layout.seats.count {
                seats.append(ordinal)
            } else if !areas.contains(where: { $0.area.ordinals.contains(ordinal) }) {
                standing.append(ordinal)
            }
        }
    }
}
