import Foundation
import NIOCore
import NIOFoundationCompat
import SocketIO
import SocketIOClient

/// One more client, who asks for the seat messages since the last known one, so that the log has no hole even when nobody
/// in the seat room heard a message. Used on one loop.
final class Watcher: @unchecked Sendable {
    private let client: SocketIOClient
    private let shard: Shard
    private let isConnected: EventLoopFuture<Void>
    private var isAsking = false

    init(_ connector: ClientConnector, token: String, _ shard: Shard) {
        self.shard = shard
        var configuration = ClientConfiguration()
        configuration.auth = RawJSON(trusted: #"{"token":"\#(token)"}"#)
        let connected = shard.eventLoop.makePromise(of: Void.self)
        self.isConnected = connected.futureResult
        self.client = SocketIOClient(connector, configuration, on: shard.eventLoop) { event in
            switch event {
            case .connected: connected.succeed()
            case .refused(let error):
                connected.fail(
                    SimulationError(
                        "the service refuses the first token: \(error.message); run 'holdfast loadtest prepare' again"
                    )
                )
            case .disconnected(let reason):
                // Only the first connection is waited for; later losses mend themselves.
                connected.fail(SimulationError("cannot connect to the service: \(reason)"))
            case .event, .reconnecting: break
            }
        }
    }

    func start() async throws {
        self.shard.eventLoop.execute { self.client.connect() }
        try await self.isConnected.get()
    }

    func stop() async throws { try await self.shard.eventLoop.submit { self.client.disconnect() }.get() }

    /// Asks unless it does already.
    func askForNews() async throws {
        try await self.shard.eventLoop.submit { if !self.isAsking { _ = self.ask() } }.get()
    }

    /// Reads the log to its end.
    func catchUp() async throws {
        // Once for what was under way, once more for what came meanwhile.
        for _ in 0..<2 {
            let answered = try await self.shard.eventLoop.submit { self.ask() }.get()
            try await answered.get()
        }
    }

    private func ask() -> EventLoopFuture<Void> {
        let done = self.shard.eventLoop.makePromise(of: Void.self)
        guard let last = self.shard.referee.with({ $0.log.last }) else {
            done.succeed()
            return done.futureResult
        }
        self.isAsking = true
        let payload = RawJSON(trusted: #"{"eventId":"\#(self.shard.venue.eventID)","seq":\#(last)}"#)
        self.client.emit("sync", [payload], timeout: .seconds(10)) { result in
            self.isAsking = false
            if let bytes = try? result.get().first?.bytes,
                let answer = try? JSONDecoder().decode(FanAnswer.self, from: bytes)
            {
                self.shard.note(answer.changes ?? [])
            }
            done.succeed()
        }
        return done.futureResult
    }
}
