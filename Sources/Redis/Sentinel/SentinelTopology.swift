import NIOCore
import Synchronization

/// Asks sentinels who the primary is: one after the other, first the one that knew best lately.
final class SentinelTopology: RedisTopology, Sendable {
    let primaryName: String
    /// How to reach a sentinel: its own user and password, short deadlines, for there are others to ask.
    let configuration: RedisConfiguration
    private let loop: any EventLoop
    private let connectors: [RedisEndpoint: RedisConnector]
    private let order: Mutex<[RedisEndpoint]>

    init(_ configuration: RedisConfiguration, primary: String, loop: any EventLoop) {
        primaryName = primary
        self.loop = loop
        var sentinel = configuration
        sentinel.topology = .standalone
        (sentinel.user, sentinel.password) = (configuration.sentinelUser, configuration.sentinelPassword)
        sentinel.database = 0
        sentinel.connectTimeout = min(configuration.connectTimeout, .milliseconds(500))
        sentinel.maxMessageBytes = 64 * 1024
        self.configuration = sentinel
        var connectors: [RedisEndpoint: RedisConnector] = [:]
        for endpoint in configuration.endpoints {
            let topology = StandaloneTopology(address: endpoint)
            connectors[endpoint] = RedisConnector(sentinel, topology: topology, purpose: .any)
        }
        self.connectors = connectors
        order = Mutex(configuration.endpoints)
    }

    var sentinels: [RedisEndpoint] { order.withLock { $0 } }

    func connector(to sentinel: RedisEndpoint) -> RedisConnector? { connectors[sentinel] }

    func endpoint() async throws(RedisError) -> RedisEndpoint {
        var cause: RedisError?
        for sentinel in sentinels {
            do {
                if let primary = try await ask(sentinel) {
                    prefer(sentinel)
                    return primary
                }
            } catch {
                cause = error
            }
        }
        let message = "no sentinel could name the primary '\(primaryName)' (\(sentinels.count) asked)"
        throw RedisError(.connection, message, underlying: cause)
    }

    /// This sentinel heard of a change, others may not have yet.
    func prefer(_ sentinel: RedisEndpoint) {
        order.withLock { order in
            guard let index = order.firstIndex(of: sentinel), index > 0 else { return }
            order.insert(order.remove(at: index), at: 0)
        }
    }

    /// nil when the sentinel watches no primary of that name.
    private func ask(_ sentinel: RedisEndpoint) async throws(RedisError) -> RedisEndpoint? {
        guard let connector = connector(to: sentinel) else { return nil }
        let connected = try await connector.connect(on: loop, limits: RESPReader.Limits())
        let command = RedisCommand("SENTINEL", "get-master-addr-by-name", RedisArgument(primaryName))
        let reply = try await OneReply.ask(command, on: connected, within: TimeAmount(configuration.connectTimeout))
        if let failure = reply.failure { throw failure }
        guard !reply.isNull else { return nil }
        guard let parts = reply.array, parts.count == 2, let host = parts[0].string, let port = parts[1].int else {
            throw RedisError(.unexpectedReply, "a sentinel named no address")
        }
        return RedisEndpoint(host: host, port: port)
    }
}

/// A connection that asks one question and closes.
private final class OneReply: RESPReceiver {
    private let channel: any Channel
    private let promise: EventLoopPromise<RESPValue>

    private init(_ channel: any Channel, _ promise: EventLoopPromise<RESPValue>) {
        self.channel = channel
        self.promise = promise
    }

    static func ask(
        _ command: RedisCommand,
        on connected: ConnectedChannel,
        within limit: TimeAmount
    ) async throws(RedisError) -> RESPValue {
        let bytes = try CommandFormatter.format([command])
        let channel = connected.channel
        do {
            return try await channel.eventLoop.flatSubmit {
                let promise = channel.eventLoop.makePromise(of: RESPValue.self)
                connected.handler.value.attach(OneReply(channel, promise))
                channel.writeAndFlush(bytes, promise: nil)
                let timer = channel.eventLoop.scheduleTask(in: limit) {
                    promise.fail(RedisError(.timeout, "a sentinel did not answer"))
                    channel.close(promise: nil)
                }
                promise.futureResult.whenComplete { _ in timer.cancel() }
                return promise.futureResult
            }.get()
        } catch let error as RedisError {
            throw error
        } catch {
            throw RedisError(.connection, "the event loop is closed", underlying: error)
        }
    }

    func received(_ reply: RESPValue) {
        promise.succeed(reply)
        channel.close(promise: nil)
    }

    func receivedAll() {}

    func closed(_ error: RedisError) { promise.fail(error) }
}
