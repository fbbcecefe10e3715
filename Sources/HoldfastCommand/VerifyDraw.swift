import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import WaitingRoom

/// Checks a lobby's draw as anybody can: with what is published, and nothing of the service's.
struct VerifyDraw: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-draw",
        abstract: "Checks a published draw; exit status 1 if it does not hold.",
        discussion: """
            DRAW is what GET /api/queue/draw/EVENT/roster answers: its address, or a file with it. Needs no settings. \
            docs/draw.md is the recipe, for those who would rather not trust this program either.
            """
    )

    @Argument(help: "The published draw: an address or a file.")
    var draw: String

    @Option(help: "A file with one's own answer of GET /api/queue/draw/EVENT: checks one's own place.")
    var proof: String?

    @Option(help: "The commitment as it was published before the draw, if it was noted.")
    var commitment: String?

    private struct Answer: Decodable {
        let proof: DrawProof
    }

    func run() async throws {
        let published = try Self.decode(PublishedDraw.self, try await Self.read(draw), "a published draw", draw)
        let findings = published.findings(proof: try await ownProof(), noted: commitment)
        for finding in findings { print("\(finding.holds ? "ok  " : "FAIL")  \(finding.text)") }
        let failures = findings.count { !$0.holds }
        guard failures == 0 else {
            throw CommandFailure("the draw does not hold: \(failures) of \(findings.count) checks failed")
        }
        print("The draw of \(published.leaves.count) people holds.")
    }

    private func ownProof() async throws -> DrawProof? {
        guard let proof else { return nil }
        let data = try await Self.read(proof)
        if let answer = try? JSONDecoder().decode(Answer.self, from: data) { return answer.proof }
        return try Self.decode(DrawProof.self, data, "somebody's place in a draw", proof)
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type,
        _ data: Data,
        _ what: String,
        _ source: String
    ) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw CommandFailure("'\(source)' is not \(what)")
        }
    }

    /// A draw of 1,000,000 people, far more than an event takes, has 68 MB.
    private static let maxBytes = 128 * 1024 * 1024

    private static func read(_ source: String) async throws -> Data {
        guard source.hasPrefix("http://") || source.hasPrefix("https://") else {
            guard let data = FileManager.default.contents(atPath: source) else {
                throw CommandFailure("cannot read the file '\(source)'")
            }
            return data
        }
        do {
            let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: source), timeout: .seconds(60))
            guard response.status == .ok else {
                throw CommandFailure("'\(source)' answered \(response.status.code)")
            }
            let body = try await response.body.collect(upTo: maxBytes)
            return Data(body.readableBytesView)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure("'\(source)' cannot be read; is the service there?")
        }
    }
}
