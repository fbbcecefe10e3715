import ArgumentParser

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
            Serve.self, Migrate.self, UserCommand.self, EventCommand.self, LoadTest.self, Rebuild.self,
        ]
    )
}
