import Foundation

/// A PostgreSQL server that one test owns and may break.
///
/// It runs in a temporary folder on a free port; ``restart()`` brings it back on the same port with its data.
package struct PrivatePostgres: Sendable {
    package let url: String
    private let folder: String

    private var data: String { "\(folder)/postgres" }

    /// Starts a server, runs `body`, and stops the server whatever state `body` left it in.
    package static func with<R>(_ body: (PrivatePostgres) async throws -> R) async throws -> R {
        let server = try await PrivatePostgres()
        let result: Result<R, any Error>
        do {
            result = .success(try await body(server))
        } catch {
            result = .failure(error)
        }
        try await server.remove()
        return try result.get()
    }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private init() async throws {
        folder = NSTemporaryDirectory() + "/holdfast-postgres-\(UUID().uuidString)"
        let script = Self.root.appendingPathComponent("scripts/services.sh").path
        try await Self.run("/bin/bash", [script, "start", folder])
        let lines = try String(contentsOfFile: "\(folder)/env", encoding: .utf8).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("DATABASE_URL=") }) else {
            throw PrivateServerFailure(message: "services.sh wrote no DATABASE_URL")
        }
        url = String(line.dropFirst("DATABASE_URL=".count))
    }

    // MARK: Faults

    /// The machine loses power: every process of the server ends at once.
    package func kill() throws {
        try signal(SIGKILL)
    }

    /// Every process stops, and its sockets stay open: nothing answers and nothing fails.
    package func pause() throws {
        try signal(SIGSTOP)
    }

    package func resume() throws {
        try signal(SIGCONT)
    }

    /// Starts the server again after ``kill()``, with the port and options it had, and returns when it accepts.
    package func restart() async throws {
        // A killed process that nobody has reaped yet looks alive to pg_ctl, which would try to stop it first.
        try? FileManager.default.removeItem(atPath: "\(data)/postmaster.pid")
        // pg_ctl reads the options of the last start from the data folder, for `restart` only.
        let bin = try Self.bin()
        let arguments = ["-D", data, "-s", "-w", "-t", "60", "-l", "\(data)/server.log", "restart"]
        if getuid() == 0 {
            try await Self.run("/usr/sbin/runuser", ["-u", "postgres", "--", "\(bin)/pg_ctl"] + arguments)
        } else {
            try await Self.run("\(bin)/pg_ctl", arguments)
        }
    }

    // MARK: Steps

    private func remove() async throws {
        try? resume()
        try? kill()
        let script = Self.root.appendingPathComponent("scripts/services.sh").path
        // Only Redis is left to stop; a dead PostgreSQL is skipped by removing its sign of life.
        try? FileManager.default.removeItem(atPath: "\(data)/postmaster.pid")
        try await Self.run("/bin/bash", [script, "stop", folder])
        try FileManager.default.removeItem(atPath: folder)
    }

    private func signal(_ number: Int32) throws {
        let text = try String(contentsOfFile: "\(data)/postmaster.pid", encoding: .utf8)
        guard let first = text.split(separator: "\n").first, let postmaster = Int32(first) else {
            throw PrivateServerFailure(message: "no process number in postmaster.pid")
        }
        // The postmaster first, lest it replace what ends.
        for process in [postmaster] + Self.children(of: postmaster) { Foundation.kill(process, number) }
    }

    /// PostgreSQL's processes each lead a session of their own, so no group signal reaches all of them.
    private static func children(of parent: Int32) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap(Int32.init).filter { process in
            guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                let afterName = stat.range(of: ") ", options: .backwards)
            else { return false }
            let fields = stat[afterName.upperBound...].split(separator: " ")
            return fields.count > 1 && Int32(fields[1]) == parent
        }
    }

    private static func bin() throws -> String {
        let root = "/usr/lib/postgresql"
        let versions = try FileManager.default.contentsOfDirectory(atPath: root).compactMap(Int.init)
        guard let newest = versions.max() else {
            throw PrivateServerFailure(message: "no PostgreSQL below \(root)")
        }
        return "\(root)/\(newest)/bin"
    }

    private static func run(_ program: String, _ arguments: [String]) async throws {
        let process = Process()
        // Foundation sees the end of a process when the last copy of a descriptor it lends is closed, and servers that a
        // script leaves behind would keep theirs. The inner shell closes all but the three that it needs.
        let shield =
            "(for fd in /proc/$BASHPID/fd/*; do n=${fd##*/}; [ $n -le 2 ] || eval \"exec $n>&-\"; done; \"$@\")"
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", shield, "bash", program] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        let status = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
            } catch {
                process.terminationHandler = nil
                continuation.resume(throwing: error)
            }
        }
        guard status == 0 else {
            throw PrivateServerFailure(message: "\(program) ended with status \(status)")
        }
    }
}

package struct PrivateServerFailure: Error {
    package let message: String
}
