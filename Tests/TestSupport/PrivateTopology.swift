import Foundation

/// A Redis of several servers of a test's own, which it may break: `scripts/topologies.py` does the work.
package final class PrivateTopology: Sendable {
    package enum Kind: String, Sendable { case standalone, sentinel, cluster }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The administrator's address, and that of the user in `Deploy/redis/users.acl`.
    package let url: String
    package let serviceURL: String
    private let folder: URL

    package var certificateFile: String { folder.appending(path: "server.pem").path }

    private init(folder: URL) throws {
        self.folder = folder
        let text = try String(contentsOf: folder.appending(path: "env"), encoding: .utf8)
        var values: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1].trimmingCharacters(in: ["'"]) }
        }
        guard let url = values["REDIS_URL"], let serviceURL = values["SERVICE_REDIS_URL"] else {
            throw Failure(description: "topologies.py wrote no addresses")
        }
        (self.url, self.serviceURL) = (url, serviceURL)
    }

    /// Starts the servers, runs `body`, and ends them whatever happened.
    ///
    /// - Parameter usesTLS: every server has the certificate in ``certificateFile``, and none is reached without TLS.
    package static func with<R>(
        _ kind: Kind,
        usesTLS: Bool = false,
        _ body: (PrivateTopology) async throws -> R
    ) async throws -> R {
        let folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-topology-\(UUID().uuidString)")
        do {
            _ = try await script("start", kind.rawValue, folder.path, usesTLS ? "tls" : "")
            let result = try await body(try PrivateTopology(folder: folder))
            _ = try? await script("stop", folder.path)
            try? FileManager.default.removeItem(at: folder)
            return result
        } catch {
            _ = try? await script("stop", folder.path)
            try? FileManager.default.removeItem(at: folder)
            throw error
        }
    }

    // MARK: What a test does to it

    /// The port of the primary; in a cluster of the one that has the key.
    package func primary(of key: String = "") async throws -> Int {
        guard let port = Int(try await Self.script("primary", folder.path, key)) else {
            throw Failure(description: "topologies.py named no port")
        }
        return port
    }

    package func kill(_ port: Int) async throws { _ = try await Self.script("kill", folder.path, "\(port)") }
    package func freeze(_ port: Int) async throws { _ = try await Self.script("freeze", folder.path, "\(port)") }
    package func resume(_ port: Int) async throws { _ = try await Self.script("resume", folder.path, "\(port)") }
    package func restart(_ port: Int) async throws { _ = try await Self.script("restart", folder.path, "\(port)") }

    /// By order, with both servers up.
    package func failOver(_ key: String = "") async throws { _ = try await Self.script("failover", folder.path, key) }

    /// Moves the slot of a key, one key after the other.
    package func move(_ key: String) async throws { _ = try await Self.script("move", folder.path, key) }

    /// Moves slots from one primary to another by redis-cli.
    package func reshard(_ slots: Int) async throws { _ = try await Self.script("reshard", folder.path, "\(slots)") }

    // MARK: The script

    private static func script(_ arguments: String...) async throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", root.appending(path: "scripts/topologies.py").path] + arguments
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        let errors = FileManager.default.temporaryDirectory.appending(path: "holdfast-\(UUID().uuidString).log")
        _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
        defer { try? FileManager.default.removeItem(at: errors) }
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        // Blocks a thread of Dispatch's, not one of the cooperative pool.
        let reader = output.fileHandleForReading
        let data = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: reader.readDataToEndOfFile()) }
        }
        await PrivateRedis.end(of: process)
        guard process.terminationStatus == 0 else {
            let text = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
            throw Failure(description: "topologies.py \(arguments.first ?? ""): \(text.suffix(2_000))")
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
