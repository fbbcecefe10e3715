import HoldfastCore
import Synchronization
import Testing

@testable import Events

@Suite struct LayoutCacheTests {
    private let reads = Reads()

    private final class Reads: Sendable {
        private let count = Mutex(0)
        var all: Int { count.withLock { $0 } }
        func happened() { count.withLock { $0 += 1 } }
    }

    private func layout(
        _ seats: Int,
        from cache: LayoutCache,
        _ key: LayoutCache.Key,
        now: ContinuousClock.Instant = .now
    ) async throws -> Layout {
        try await cache.layout(key, now: now) { [reads] in
            reads.happened()
            await Task.yield()
            return Layout(version: 1, sections: [Section(name: "A", rows: 1, seatsPerRow: seats, price: 1)])
        }
    }

    @Test("However many ask at once, a layout is read once")
    func shared() async throws {
        let (cache, key) = (LayoutCache(), LayoutCache.Key(event: EventID(), version: 1))
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<100 { group.addTask { _ = try await layout(10, from: cache, key) } }
        }
        #expect(reads.all == 1)
    }

    @Test("Small layouts stay beside each other; past the bound of seats others go, never the newest")
    func bounded() async throws {
        let cache = LayoutCache(capacity: 100)
        let keys = (0..<20).map { _ in LayoutCache.Key(event: EventID(), version: 1) }
        for key in keys.prefix(10) { _ = try await layout(10, from: cache, key) }
        for key in keys.prefix(10) { _ = try await layout(10, from: cache, key) }
        #expect(reads.all == 10)
        for key in keys.dropFirst(10) {
            _ = try await layout(60, from: cache, key)
            _ = try await layout(60, from: cache, key)
        }
        #expect(reads.all == 20)
    }

    @Test("A layout that nobody used for some minutes goes when another comes, and one in use stays")
    func idle() async throws {
        let (cache, began) = (LayoutCache(), ContinuousClock.now)
        let keys = (0..<3).map { _ in LayoutCache.Key(event: EventID(), version: 1) }
        for key in keys.prefix(2) { _ = try await layout(10, from: cache, key, now: began) }
        let half = began + LayoutCache.idleTime / 2
        _ = try await layout(10, from: cache, keys[0], now: half)
        #expect(reads.all == 2)
        let later = began + LayoutCache.idleTime
        _ = try await layout(10, from: cache, keys[2], now: later)
        _ = try await layout(10, from: cache, keys[0], now: later)
        #expect(reads.all == 3)
        _ = try await layout(10, from: cache, keys[1], now: later)
        #expect(reads.all == 4)
    }

    @Test("A failed reading is for those who waited for it")
    func failed() async throws {
        let (cache, key) = (LayoutCache(), LayoutCache.Key(event: EventID(), version: 1))
        await #expect(throws: CancellationError.self) { try await cache.layout(key) { throw CancellationError() } }
        _ = try await layout(10, from: cache, key)
        #expect(reads.all == 1)
    }
}
