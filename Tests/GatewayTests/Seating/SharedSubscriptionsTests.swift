import HoldfastCore
import Synchronization
import Testing

@testable import Gateway

/// A channel that counts: what the instance would really hear.
private final class Channel: Sendable {
    struct Refused: Error {}
    private struct State {
        var isSubscribed = false
        var subscriptions = 0
        var refusals = 0
        var idle: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    let shared = SharedSubscriptions()
    let event = EventID()

    var isSubscribed: Bool { state.withLock { $0.isSubscribed } }
    var subscriptions: Int { state.withLock { $0.subscriptions } }

    func refuse(_ times: Int) { state.withLock { $0.refusals = times } }

    func retain() async throws {
        try await shared.retain(event) {
            // Somewhere in between others come and go.
            for _ in 0..<Int.random(in: 0...5) { await Task.yield() }
            try self.state.withLock { state in
                if state.refusals > 0 {
                    state.refusals -= 1
                    throw Refused()
                }
                state.isSubscribed = true
                state.subscriptions += 1
            }
        } unsubscribe: {
            for _ in 0..<Int.random(in: 0...5) { await Task.yield() }
            let idle = self.state.withLock { state in
                state.isSubscribed = false
                defer { state.idle = [] }
                return state.idle
            }
            for waiting in idle { waiting.resume() }
        }
    }

    func release() { shared.release(event) }

    /// Returns when the channel is given up.
    func silence() async {
        await withCheckedContinuation { continuation in
            let isSilent = state.withLock { state in
                if state.isSubscribed { state.idle.append(continuation) }
                return !state.isSubscribed
            }
            if isSilent { continuation.resume() }
        }
    }
}

@Suite struct SharedSubscriptionsTests {
    @Test("Many come and subscribe once; the last one gives the channel up")
    func once() async throws {
        let channel = Channel()
        await withDiscardingTaskGroup { group in
            for _ in 0..<50 { group.addTask { try? await channel.retain() } }
        }
        #expect(channel.isSubscribed)
        #expect(channel.subscriptions == 1)
        for _ in 0..<49 { channel.release() }
        #expect(channel.isSubscribed)
        channel.release()
        await channel.silence()
    }

    @Test("Whoever has come hears, however others come and go at that moment")
    func interleavings() async throws {
        let channel = Channel()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<32 {
                group.addTask {
                    for _ in 0..<200 {
                        try await channel.retain()
                        #expect(channel.isSubscribed)
                        await Task.yield()
                        #expect(channel.isSubscribed)
                        channel.release()
                    }
                }
            }
        }
        await channel.silence()
        try await channel.retain()
        #expect(channel.isSubscribed)
    }

    @Test("A refusal reaches those who wait, and the next one tries again")
    func refused() async throws {
        let channel = Channel()
        channel.refuse(1)
        await #expect(throws: Channel.Refused.self) { try await channel.retain() }
        #expect(!channel.isSubscribed)
        try await channel.retain()
        #expect(channel.isSubscribed)
        channel.release()
        await channel.silence()
    }
}
