import NIOCore
import Redis
import Synchronization

/// Which channels should be subscribed, and the tasks that make it so.
///
/// Rooms may open and close faster than Redis answers: each channel has at most one task at a time, which goes on
/// until what is and what should be agree.
final class RoomChannels: Sendable {
    private struct Entry {
        var isWanted = false
        var isSubscribed = false
        var isWorking = false
        var receive: @Sendable (ByteBuffer) -> Void
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private enum Step {
        case subscribe(@Sendable (ByteBuffer) -> Void)
        case unsubscribe
        case done
    }

    private let subscriber: RedisSubscriber
    private let entries = Mutex<[String: Entry]>([:])

    init(subscriber: RedisSubscriber) { self.subscriber = subscriber }

    func want(_ channel: String, _ receive: @escaping @Sendable (ByteBuffer) -> Void) {
        self.change(channel, receive) { $0.isWanted = true }
    }

    func unwant(_ channel: String) {
        self.change(channel, nil) { $0.isWanted = false }
    }

    /// Returns when the channel is subscribed, is not wanted, or could not be subscribed now.
    func ready(_ channel: String) async {
        await withCheckedContinuation { continuation in
            let isReady = self.entries.withLock { entries in
                guard let entry = entries[channel], entry.isWorking, entry.isWanted else { return true }
                entries[channel]?.waiters.append(continuation)
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    func isWanted(_ channel: String) -> Bool { self.entries.withLock { $0[channel]?.isWanted ?? false } }

    /// Whether what is published now on the channel reaches this node's members, or there are none.
    func isSettled(_ channel: String) -> Bool {
        self.entries.withLock { entries in
            guard let entry = entries[channel] else { return true }
            return entry.isSubscribed && entry.isWanted
        }
    }

    private func change(
        _ channel: String,
        _ receive: (@Sendable (ByteBuffer) -> Void)?,
        _ body: (inout Entry) -> Void
    ) {
        let starts = self.entries.withLock { entries in
            guard var entry = entries[channel] ?? receive.map({ Entry(receive: $0) }) else { return false }
            body(&entry)
            let starts = !entry.isWorking && entry.isWanted != entry.isSubscribed
            if starts { entry.isWorking = true }
            entries[channel] = entry
            return starts
        }
        // Nobody awaits this task: it ends when the channel is as it should be.
        if starts { Task { await self.work(channel) } }
    }

    private func work(_ channel: String) async {
        var hasFailed = false
        while true {
            let (step, waiters) = self.nextStep(channel, hasFailed: hasFailed)
            for waiter in waiters { waiter.resume() }
            switch step {
            case .done:
                return
            case .unsubscribe:
                await self.subscriber.unsubscribe(channel)
                self.entries.withLock { $0[channel]?.isSubscribed = false }
            case .subscribe(let receive):
                do {
                    try await self.subscriber.subscribe(channel, onMessage: receive)
                    hasFailed = false
                    self.entries.withLock { $0[channel]?.isSubscribed = true }
                } catch {
                    // Who waits for the room goes on without it; we try again until it is there or not wanted.
                    hasFailed = true
                    do { try await Task.sleep(for: .milliseconds(500)) } catch { return }
                    // The subscriber goes on trying by itself: a room that nobody wants any more is taken back there.
                    self.entries.withLock { entries in
                        if entries[channel]?.isWanted == false { entries[channel]?.isSubscribed = true }
                    }
                }
            }
        }
    }

    private func nextStep(_ channel: String, hasFailed: Bool) -> (Step, [CheckedContinuation<Void, Never>]) {
        self.entries.withLock { entries in
            guard var entry = entries[channel] else { return (.done, []) }
            let isSettled = entry.isWanted == entry.isSubscribed
            let waiters = isSettled || hasFailed ? entry.waiters : []
            if isSettled || hasFailed { entry.waiters = [] }
            guard isSettled else {
                entries[channel] = entry
                return (entry.isWanted ? .subscribe(entry.receive) : .unsubscribe, waiters)
            }
            entry.isWorking = false
            entries[channel] = entry.isWanted ? entry : nil
            return (.done, waiters)
        }
    }
}
