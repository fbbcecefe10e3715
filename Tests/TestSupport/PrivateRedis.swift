import Foundation
import Redis
import Synchronization

/// A Redis server of a test's own, which it may stop, freeze and start again on the same port.
///
/// Keeps its files in a temporary folder. Everything here waits for what it names: `start` until the server answers a
/// `PING`, `stop` until the process is gone.
package final class PrivateRedis: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let port: Int
    /// Under TLS the port of `rediss://`; there is then a certificate for 127.0.0.1 in ``certificateFile``.
    package let tlsPort: Int?
    package let password: String?
    private let folder: URL
    private let process = Mutex<Process?>(nil)

    package var url: String {
        let credentials = password.map { ":\($0)@" } ?? ""
        return tlsPort.map { "rediss://\(credentials)127.0.0.1:\($0)/0" } ?? "redis://\(credentials)127.0.0.1:\(port)/0"
    }

    package var certificateFile: String { folder.appending(path: "server.pem").path }

    private init(password: String?, usesTLS: Bool) throws {
        port = try Self.freePort()
        tlsPort = usesTLS ? try Self.freePort() : nil
        self.password = password
        folder = FileManager.default.temporaryDirectory.appending(path: "holdfast-redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Starts a server, runs `body`, and stops the server whatever happened.
    package static func with<R>(
        password: String? = nil,
        usesTLS: Bool = false,
        _ body: (PrivateRedis) async throws -> R
    ) async throws -> R {
        let server = try PrivateRedis(password: password, usesTLS: usesTLS)
        do {
            if usesTLS { try await server.makeCertificate() }
            try await server.start()
            let result = try await body(server)
            await server.remove()
            return result
        } catch {
            await server.remove()
            throw error
        }
    }

    // MARK: What a test does to it

    /// Starts the server, on the same port as before; returns once it answers.
    package func start() async throws {
        var arguments = [
            "--bind", "127.0.0.1", "--port", "\(port)", "--dir", folder.path, "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--logfile", folder.appending(path: "server.log").path,
        ]
        if let password { arguments += ["--requirepass", password] }
        if let tlsPort {
            arguments += [
                "--tls-port", "\(tlsPort)", "--tls-cert-file", certificateFile,
                "--tls-key-file", folder.appending(path: "server.key").path, "--tls-auth-clients", "no",
            ]
        }
        let process = try Self.launch("redis-server", arguments)
        self.process.withLock { $0 = process }
        // The client itself does the waiting: it knocks until Redis answers.
        let credentials = password.map { ":\($0)@" } ?? ""
        try await TestRedis.withClient(url: "redis://\(credentials)127.0.0.1:\(port)/0") { configuration in
            configuration.connectionCount = 1
            configuration.commandTimeout = .seconds(60)
            configuration.reconnectDelay = .milliseconds(5) ... .milliseconds(20)
        } _: { redis in
            _ = try await redis.send(RedisCommand("PING"))
        }
    }

    /// Ends the server as a power cut would; returns once the process is gone.
    package func kill() async {
        guard let process = process.withLock({ $0.take() }) else { return }
        signal(SIGKILL, process)
        await Self.end(of: process)
    }

    /// The server keeps its connections and answers nobody, until ``resume()``.
    package func freeze() {
        if let process = process.withLock({ $0 }) { signal(SIGSTOP, process) }
    }

    package func resume() {
        if let process = process.withLock({ $0 }) { signal(SIGCONT, process) }
    }

    private func signal(_ number: Int32, _ process: Process) {
        Foundation.kill(process.processIdentifier, number)
    }

    private func remove() async {
        await kill()
        try? FileManager.default.removeItem(at: folder)
    }

    // MARK: Helpers

    private func makeCertificate() async throws {
        let process = try Self.launch(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", folder.appending(path: "server.key").path, "-out", certificateFile,
            ]
        )
        await Self.end(of: process)
        guard process.terminationStatus == 0 else { throw Failure(description: "openssl made no certificate") }
    }

    private static func launch(_ name: String, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Blocks a thread of Dispatch's, not one of the cooperative pool.
    static func end(of process: Process) async {
        await withCheckedContinuation { continuation in
            let box = ProcessBox(process)
            DispatchQueue.global().async {
                box.process.waitUntilExit()
                continuation.resume()
            }
        }
    }

    /// A port that nobody listens on now, below those that the kernel gives to outgoing connections: see
    /// `scripts/ports.py`.
    private static func freePort() throws -> Int {
        for _ in 0..<100 {
            let port = UInt16.random(in: 10_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { break }
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
            address.sin_port = port.bigEndian
            let status = withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if status == 0 { return Int(port) }
        }
        throw Failure(description: "no free port")
    }
}

/// `Process` is not marked as safe to share. This box is made by one function, which does nothing but wait on it.
private struct ProcessBox: @unchecked Sendable {
    let process: Process

    init(_ process: Process) {
        self.process = process
    }
}
