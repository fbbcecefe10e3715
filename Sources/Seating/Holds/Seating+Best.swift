package import Events
package import HoldfastCore
import Redis

/// What "the best available" is to be chosen from.
package struct BestWish: Sendable, Equatable {
    package var quantity: Int
    /// A section, or a standing area.
    package var section: String?
    /// Of each seat.
    package var maxPrice: Int64?
    /// Whether at least one of the seats is for those who need it.
    package var accessible: Bool
    /// Whether the choice may leave a seat alone though it could be avoided.
    package var allowOrphans: Bool

    package init(
        quantity: Int,
        section: String? = nil,
        maxPrice: Int64? = nil,
        accessible: Bool = false,
        allowOrphans: Bool = false
    ) {
        self.quantity = quantity
        self.section = section
        self.maxPrice = maxPrice
        self.accessible = accessible
        self.allowOrphans = allowOrphans
    }
}

extension Seating {
    /// Adds the best free seats that are adjacent in one row, else the nearest to each other; of a standing area any.
    package func bestAvailable(
        _ wish: BestWish,
        options: SelectionOptions = SelectionOptions(),
        by user: UserID,
        in event: Event
    ) async throws -> SelectionOutcome {
        guard wish.quantity > 0 else { throw Problem.invalid(.init("quantity", "must be 1 or more")) }
        guard wish.quantity <= event.sale.maxSeatsPerUser else {
            let selection = try await selection(of: user, in: event)
            return .limitExceeded(maxSeats: event.sale.maxSeatsPerUser, selection)
        }
        let layout = try await events.layout(of: event)
        if let area = standingArea(for: wish, in: layout) {
            guard area.price <= wish.maxPrice ?? .max, !wish.accessible else {
                return .noneLeft(try await selection(of: user, in: event))
            }
            return try await lock([], standing: [area.name: wish.quantity], by: user, in: event, options: options)
        }
        if let section = wish.section, !layout.blocks.contains(where: { $0.name == section }) {
            throw Problem.invalid(.init("section", "is none of the event's"))
        }
        return try await takeBest(wish, layout, options, by: user, in: event)
    }

    private func standingArea(for wish: BestWish, in layout: Layout) -> Layout.Area? {
        if let section = wish.section { return layout.area(named: section) }
        return layout.seats.isEmpty ? layout.areas.first { $0.price <= wish.maxPrice ?? .max } : nil
    }

    private func takeBest(
        _ wish: BestWish,
        _ layout: Layout,
        _ options: SelectionOptions,
        by user: UserID,
        in event: Event
    ) async throws -> SelectionOutcome {
        let search = BestSeats(
            layout: layout,
            quantity: wish.quantity,
            section: wish.section,
            maxPrice: wish.maxPrice,
            accessible: wish.accessible,
            allowOrphans: wish.allowOrphans
        )
        // The map may be 100 ms old and the wanted seats gone: look again, a few times.
        for _ in 0..<Self.looksForBest {
            let map = try await map(of: event)
            // It looks at every seat, and the caller may be on an event loop.
            let found = await withTaskExecutorPreference(globalConcurrentExecutor) { map.candidates(search) }
            guard !found.groups.isEmpty else {
                // Others may have been sent after the last ones and not have got them.
                guard map.hasIntentions else { return .noneLeft(try await selection(of: user, in: event)) }
                forget(map, of: event.id)
                continue
            }
            let ordinals = found.groups.joined()
            var arguments = rules(user, event, options, "best")
            arguments.append(found.isLastResort ? "" : layout.geometry(of: ordinals))
            arguments.append(RedisArgument(wish.quantity))
            arguments += ordinals.map { layout.place(at: $0) }
            let reply = try await grant(SeatScript.takeBest, event.id, arguments, options.connection)
            if reply.status != .unavailable { return try outcome(of: reply, in: event) }
            forget(map, of: event.id)
        }
        return .unavailable([], try await selection(of: user, in: event))
    }

    /// How often the map is read for one wish. Each time a group goes to everybody who is quick enough.
    private static let looksForBest = 6
}
