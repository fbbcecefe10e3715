package import Logging
import ServiceLifecycle
import Synchronization

/// Elects one leader among instances: the holder of a Redis key that expires.
///
/// The body runs while the lease is surely ours and is cancelled ttl/8 before it can have expired by our own clock. That is
/// as sure as a lease can be, which is not enough for what must never happen twice: a process may stop between a check and
/// its effect, and a Redis that fails over may forget the key. Such effects need a fence or a constraint of their own.
///
/// Renewed every ttl/4. Given back on graceful shutdown, so that another takes over at once; after a SIGKILL another takes
/// over within ttl + ttl/8.
package final class RedisLease: Service, Sendable {
    package typealias Body = @Sendable () async throws -> Void

    static let hold = RedisScript(name: "HoldLease", source: PackageResources.HoldLease_lua)
    static let release = RedisScript(name: "ReleaseLease", source: PackageResources.ReleaseLease_lua)

    package static let defaultTTL: Duration = .seconds(2)

    private let redis: RedisClient
    private let key: String
    private let ttl: Duration
    private let logger: Logger
    private let body: Body
    private let term = Mutex<LeaseTerm?>(nil)

    /// - Parameters:
    ///   - ttl: how long Redis keeps the lease for a holder that falls silent; at least 100 ms.
    ///   - body: what ``run()`` runs while leading; without one the lease is merely held, and ``isHeld`` says so.
    package init(
        redis: RedisClient,
        key: String,
        ttl: Duration = RedisLease.defaultTTL,
        logger: Logger,
        body: @escaping Body = { try await Task.sleep(for: .seconds(365 * 86_400)) }
    ) {
        precondition(ttl >= .milliseconds(100), "a lease shorter than 100 ms is lost to any hiccup")
        self.redis = redis
        self.key = key
        self.ttl = ttl
        self.logger = logger
        self.body = body
    }

    /// Whether this instance leads at this moment.
    package var isHeld: Bool {
        term.withLock { $0?.isSurelyOurs(at: .now) ?? false }
    }

    /// Takes part in the election until graceful shutdown or cancellation.
    package func run() async throws {
        try await whileHeld(body)
    }

    /// Runs `body` whenever this instance leads, until graceful shutdown or cancellation of the caller.
    ///
    /// A body that returns, or throws, gives the lease back; the election goes on after ttl/8. Only one call at a time.
    package func whileHeld(_ body: @escaping Body) async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let token = Self.makeToken()
                if let term = await self.take(token) {
                    await self.lead(term, token, body)
                }
                try? await Task.sleep(for: LeaseTerm.retryDelay(self.ttl))
            }
        }
    }

    // MARK: One term of office

    private func lead(_ first: LeaseTerm, _ token: String, _ body: @escaping Body) async {
        term.withLock { $0 = first }
        logger.debug("lease taken", metadata: ["lease.key": "\(key)"])
        await withTaskGroup { group in
            group.addTask {
                do {
                    try await body()
                } catch {
                    self.logger.debug("the lease's body ended", metadata: ["error.type": "\(type(of: error))"])
                }
            }
            group.addTask { await self.keep(first, token) }
            await group.next()
            group.cancelAll()
        }
        term.withLock { $0 = nil }
        // Not in the cancelled task: a cancelled command is not sent. Awaited here, so it does not outlive the lease.
        await Task { await self.giveBack(token) }.value
        logger.debug("lease ended", metadata: ["lease.key": "\(key)"])
    }

    /// Renews until the lease is lost or the task is cancelled.
    private func keep(_ first: LeaseTerm, _ token: String) async {
        var term = first
        var next = term.renewal
        while !Task.isCancelled {
            try? await Task.sleep(until: min(next, term.end), clock: .continuous)
            let now = ContinuousClock.now
            guard !Task.isCancelled, term.isSurelyOurs(at: now) else { return }
            // The answer is of no use after the end, and waiting for it would keep the body running.
            switch await ask(token, "keep", timeout: now.duration(to: term.end)) {
            case .some(true):
                term.renewed(since: now)
                self.term.withLock { $0 = term }
                next = term.renewal
            case .some(false):
                return
            case .none:
                next = .now + LeaseTerm.retryDelay(ttl)
            }
        }
    }

    private func take(_ token: String) async -> LeaseTerm? {
        let now = ContinuousClock.now
        switch await ask(token, "take", timeout: ttl / 2) {
        case .some(true):
            let term = LeaseTerm(ttl: ttl, since: now)
            if term.isSurelyOurs(at: .now), !Task.isCancelled { return term }
            await Task { await self.giveBack(token) }.value
            return nil
        case .some(false):
            return nil
        case .none:
            // It may have run, and then the lease would stand in everybody's way until it expires. Awaited, as above.
            await Task { await self.giveBack(token) }.value
            return nil
        }
    }

    /// nil when Redis gave no usable answer.
    private func ask(_ token: String, _ mode: RedisArgument, timeout: Duration) async -> Bool? {
        let milliseconds = ttl.components.seconds * 1000 + ttl.components.attoseconds / 1_000_000_000_000_000
        do {
            let arguments = [RedisArgument(token), RedisArgument(milliseconds), mode]
            return try await redis.eval(Self.hold, keys: [key], arguments: arguments, timeout: timeout).int == 1
        } catch {
            logger.debug("lease not answered", metadata: ["lease.key": "\(key)", "error": "\(error)"])
            return nil
        }
    }

    private func giveBack(_ token: String) async {
        let arguments = [RedisArgument(token)]
        do {
            _ = try await redis.eval(Self.release, keys: [key], arguments: arguments, timeout: ttl / 2)
        } catch {
            // It expires by itself.
            logger.debug("lease not given back", metadata: ["lease.key": "\(key)", "error": "\(error)"])
        }
    }

    private static func makeToken() -> String {
        String(UInt64.random(in: .min ... .max), radix: 16) + String(UInt64.random(in: .min ... .max), radix: 16)
    }
}
