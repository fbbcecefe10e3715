import ArgumentParser
import Configuration
import Foundation
import Gateway
import HoldfastCore
import Logging
import NIOPosix
import Postgres
import Redis
import ServiceLifecycle
import Sessions

/// A failure that ends a command: one line on standard error that names what to do, exit status 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The settings and slices of one command, alive while `body` runs.
enum CommandContext {
    static func settings() throws -> Settings {
        do {
            return try Settings(config: ConfigReader(provider: EnvironmentVariablesProvider()))
        } catch let error as SettingsError {
            throw CommandFailure(error.description)
        }
    }

    /// Runs `body` with the stores connected, and closes them after it.
    static func withSlices(_ body: @escaping @Sendable (Slices) async throws -> Void) async throws {
        let settings = try settings()
        let logger = LogSetup.logger(settings)
        let slices = try await Slices(
            settings: settings,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await slices.postgres.run() }
            group.addTask { try await slices.redis.run() }
            defer { group.cancelAll() }
            try await readably { try await body(slices) }
        }
    }

    /// Turns what a slice throws into one line for a person.
    static func readably(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let problem as Problem {
            throw CommandFailure(problem.detail)
        } catch let error as PostgresError {
            throw CommandFailure("PostgreSQL: \(error); check DATABASE_URL, and run 'holdfast migrate' first")
        } catch let error as RedisError {
            throw CommandFailure("Redis: \(error); check REDIS_URL")
        }
    }
}

extension Slices {
    /// What an operator does is audited as what an administrator does.
    var audit: AuditLog { AuditLog(postgres: postgres) }
}

/// The folders that travel with the binary: `Migrations` and `Web`.
enum Installation {
    /// Looks in the current folder, then upwards from the binary.
    static func folder(_ name: String, override variable: String) throws -> String {
        let files = FileManager.default
        if let path = ProcessInfo.processInfo.environment[variable], !path.isEmpty { return path }
        var candidates = [URL(fileURLWithPath: files.currentDirectoryPath)]
        var binary = URL(fileURLWithPath: (try? files.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/")
        while binary.path != "/" {
            binary.deleteLastPathComponent()
            candidates.append(binary)
        }
        for candidate in candidates {
            let path = candidate.appendingPathComponent(name).path
            var isFolder: ObjCBool = false
            if files.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue { return path }
        }
        throw CommandFailure("cannot find the folder \(name); run from the project's folder or set \(variable)")
    }
}
