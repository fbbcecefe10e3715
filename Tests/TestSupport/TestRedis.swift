import Foundation
package import Logging
import NIOPosix
package import Redis

/// The Redis that service tests share. Tests use keys of their own and never flush it.
package enum TestRedis {
    /// From `HOLDFAST_TEST_REDIS_URL`; empty when it is not set.
    package static let url = ProcessInfo.processInfo.environment["HOLDFAST_TEST_REDIS_URL"] ?? ""

    /// Use as `@Suite(.enabled(if: TestRedis.isConfigured))`.
    package static let isConfigured = !url.isEmpty

    /// Runs `body` with a client of its own, which is closed afterwards.
    package static func withClient<R>(
        url: String = TestRedis.url,
        configure: (inout RedisConfiguration) -> Void = { _ in },
        _ body: (RedisClient) async throws -> R
    ) async throws -> R {
        var configuration = try patientConfiguration(url)
        configure(&configuration)
        let client = RedisClient(
            configuration: configuration,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            defer { group.cancelAll() }
            return try await body(client)
        }
    }

    /// Runs `body` with a subscriber of its own, which is closed afterwards.
    package static func withSubscriber<R>(
        url: String = TestRedis.url,
        configure: (inout RedisConfiguration) -> Void = { _ in },
        _ body: (RedisSubscriber) async throws -> R
    ) async throws -> R {
        var configuration = try patientConfiguration(url)
        configure(&configuration)
        let subscriber = RedisSubscriber(
            configuration: configuration,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await subscriber.run() }
            defer { group.cancelAll() }
            return try await body(subscriber)
        }
    }

    /// Hundreds of tests start at once on a machine that may be busy: a deadline is for the tests of deadlines.
    private static func patientConfiguration(_ url: String) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: url)
        configuration.commandTimeout = .seconds(30)
        return configuration
    }

    /// A key that no other test, and no other run, uses; all of one call share a hash tag.
    package static func uniqueKey(_ name: String = "key") -> String {
        "hf:{test:\(UUID().uuidString)}:\(name)"
    }

    package static let logger = Logger(label: "test.redis") { _ in SwiftLogNoOpLogHandler() }
}
