import ArgumentParser
import Foundation

@main
struct Holdfast: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "A realtime queue-and-seat session service for ticket on-sales.",
        discussion: """
            Settings come from the environment; 'holdfast serve --help' lists them. Exit status: 0 on success, 64 for \
            bad usage, 1 otherwise.
            """,
        subcommands: [
            Serve.self, Migrate.self, UserCommand.self, EventCommand.self, LoadTest.self, Rebuild.self, Doctor.self,
        ]
    )

    /// Runs the command. What goes wrong is one line on standard error, so that scripts can show it as it is.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            // Help is asked for, so it is no error: it goes to standard output.
            if exitCode(for: error).isSuccess { exit(withError: error) }
            let lines = fullMessage(for: error).split(whereSeparator: \.isNewline)
            let hint = lines.dropFirst().first { $0.contains("--help") }
            let line = ([lines.first, hint].compactMap { $0?.trimmingCharacters(in: .whitespaces) })
                .joined(separator: ". ")
            try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
            exit(withError: exitCode(for: error))
        }
    }
}
