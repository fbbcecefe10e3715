package import Events
import HoldfastCore
import NIOCore
import Redis

// What everyone sees.

extension Seating {
    /// The whole map. At most 100 ms old: ten thousand people who open it at once cost this instance one read. That of a
    /// closed event which Redis does not know any more is PostgreSQL's, and at most 5 s old.
    package func snapshot(of event: Event) async throws -> SeatSnapshot { try await map(of: event).snapshot }

    func map(of event: Event) async throws -> SeatMap {
        let layout = try await events.layout(of: event)
        return try await snapshots.map(of: event.id, layoutVersion: layout.version) { [state] in
            let reply = try await state.run(SeatScript.showSeats, event.id)
            let isOver = reply.status == .over
            let letters =
                isOver
                ? try await SoldSeats.letters(of: event.id, in: state.postgres)
                : Array(reply.fields.last?.buffer?.readableBytesView ?? ByteBufferView())
            guard letters.count == layout.placeCount else {
                throw reply.unexpected("\(layout.placeCount) letters", at: 3)
            }
            let standing = letters.dropFirst(layout.seats.count)
            let snapshot = SeatSnapshot(
                seq: try reply.integer(2),
                layoutVersion: layout.version,
                statuses: Array(letters.prefix(layout.seats.count)),
                standingLeft: layout.areas.map { area in
                    let start = standing.startIndex + area.ordinals.lowerBound - layout.seats.count
                    return standing[start..<start + area.ordinals.count].count { $0 == SeatSnapshot.available }
                }
            )
            return SeatMap(snapshot, isOver: isOver)
        }
    }

    /// The next reading is a new one.
    func forget(_ map: SeatMap, of event: EventID) { snapshots.forget(map, of: event) }

    /// The messages after `seq`, for a client that missed some.
    package func changes(in event: Event, since seq: Int64) async throws -> ChangesOutcome {
        guard seq >= 0, seq < Int64(1) << 53 else { return .reset }
        let reply = try await state.run(SeatScript.showChanges, event.id, [RedisArgument(seq)])
        guard reply.status == .ok else { return .reset }
        let messages = try reply.array(3)
        // A thousand to decode, and the caller may be on an event loop.
        let changes = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try messages.map { value in
                guard let change = value.buffer.flatMap({ SeatChange(logged: $0) }) else {
                    throw reply.unexpected("seat messages", at: 3)
                }
                return change
            }
        }
        return .changes(seq: try reply.integer(2), changes)
    }

    /// Free places by section and standing area; each is present.
    package func availability(of event: Event) async throws -> [String: Int] {
        let layout = try await events.layout(of: event)
        let map = try await snapshot(of: event)
        var free: [String: Int] = [:]
        for block in layout.blocks {
            free[block.name] = map.statuses[block.ordinals].count { $0 == SeatSnapshot.available }
        }
        for (area, left) in zip(layout.areas, map.standingLeft) { free[area.name] = left }
        return free
    }
}
