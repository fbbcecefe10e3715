import Accounts
import ArgumentParser
import Foundation
import Gateway
import Sessions

struct LoadTest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loadtest",
        abstract: "Prepares load tests.",
        subcommands: [Prepare.self]
    )

    struct Prepare: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes users load-1 … load-N with live sessions; writes one access token a line, valid 6 h."
        )

        @Option(help: "How many users, 1 to 1000000.")
        var users: Int

        @Option(help: "The file to write the tokens to.")
        var tokens: String

        func validate() throws {
            guard (1...1_000_000).contains(users) else { throw ValidationError("--users must be from 1 to 1000000") }
        }

        func run() async throws {
            guard try CommandContext.settings().environment != .production else {
                throw CommandFailure("refused: HOLDFAST_ENV is production")
            }
            let (count, path) = (users, tokens)
            try await CommandContext.withSlices { slices in
                let users = try await slices.accounts.createMany(prefix: "load-", count: count)
                let tokens = try await slices.sessions.createMany(for: users)
                let text = tokens.joined(separator: "\n") + "\n"
                guard
                    FileManager.default.createFile(
                        atPath: path,
                        contents: Data(text.utf8),
                        attributes: [.posixPermissions: 0o600]
                    )
                else { throw CommandFailure("cannot write '\(path)'") }
            }
        }
    }
}
