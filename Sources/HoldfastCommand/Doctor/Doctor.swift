import ArgumentParser
import Foundation
import Gateway
import Logging
import NIOPosix
import Postgres
import Redis

/// Looks whether the service can do its work here, and says how to mend what is in its way.
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks configuration, stores, migrations, clocks and limits; says how to mend each.",
        discussion: """
            Changes nothing but a key of its own in Redis, which it removes. Run it where and as whom the service runs. \
            Exit status: 0 if nothing fails, warnings included, else 1.
            """
    )

    @Flag(help: "Write one JSON object instead of lines.")
    var json = false

    func run() async throws {
        let findings = await Self.examine()
        if json { try Self.printJSON(findings) } else { Self.printLines(findings) }
        if findings.contains(where: { $0.status == .failed }) { throw ExitCode.failure }
    }

    private static func examine() async -> [Finding] {
        let settings: Settings
        do {
            settings = try CommandContext.settings()
        } catch {
            return [.failed("configuration", "\(error)", mend: "set it; 'holdfast serve --help' lists all settings")]
                + MachineCheck.findings()
        }
        var findings = ConfigurationCheck.findings(settings) + MachineCheck.findings()
        // Quiet: what is wrong is what we print.
        let logger = Logger(label: "doctor") { _ in SwiftLogNoOpLogHandler() }
        do {
            let slices = try await Slices(
                settings: settings,
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: logger
            )
            findings += await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await slices.postgres.run() }
                group.addTask { try? await slices.redis.run() }
                defer { group.cancelAll() }
                async let postgres = PostgresCheck(postgres: slices.postgres, settings: settings).findings()
                async let redis = RedisCheck(redis: slices.redis, settings: settings).findings()
                return await postgres + redis
            }
        } catch {
            findings.append(.failed("configuration", "\(error)", mend: "correct DATABASE_URL or REDIS_URL"))
        }
        return findings
    }

    private static func printLines(_ findings: [Finding]) {
        let width = findings.map(\.name.count).max() ?? 0
        for finding in findings {
            let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
            print("\(finding.status.label)  \(name)  \(finding.detail)")
            if let mend = finding.mend { print("         \(String(repeating: " ", count: width))  → \(mend)") }
        }
        let failed = findings.count { $0.status == .failed }
        let warnings = findings.count { $0.status == .warning }
        print("\(findings.count) checks, \(warnings) warnings, \(failed) failed")
    }

    private static func printJSON(_ findings: [Finding]) throws {
        struct Report: Encodable {
            let status: Finding.Status
            let version: String
            let checks: [Finding]
        }
        let worst: Finding.Status =
            findings.contains { $0.status == .failed }
            ? .failed : findings.contains { $0.status == .warning } ? .warning : .ok
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let report = Report(status: worst, version: Build.version, checks: findings)
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
}

/// What one check found.
struct Finding: Encodable, Sendable {
    enum Status: String, Encodable {
        case ok, warning, failed

        var label: String {
            switch self {
            case .ok: "ok     "
            case .warning: "warning"
            case .failed: "FAILED "
            }
        }
    }

    let name: String
    let status: Status
    let detail: String
    /// What to do, if anything.
    let mend: String?

    static func ok(_ name: String, _ detail: String) -> Finding {
        Finding(name: name, status: .ok, detail: detail, mend: nil)
    }

    static func warning(_ name: String, _ detail: String, mend: String) -> Finding {
        Finding(name: name, status: .warning, detail: detail, mend: mend)
    }

    static func failed(_ name: String, _ detail: String, mend: String) -> Finding {
        Finding(name: name, status: .failed, detail: detail, mend: mend)
    }
}
