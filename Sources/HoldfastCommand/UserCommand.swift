import Accounts
import ArgumentParser
import Gateway
import HoldfastCore
import Sessions

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Accounts.",
        subcommands: [Create.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes an account.")

        @Option(help: "The name to sign in with: letters, digits and . _ @ + -, at most 64.")
        var userID: String

        @Option(help: "The person's name [the user id].")
        var name: String?

        @Option(help: "The e-mail address [the user id at localhost].")
        var email: String?

        @Option(help: "user, admin or super_admin.")
        var role = "user"

        @Flag(
            help:
                "Read the password from the first line of standard input (required: a password in an argument would be visible to others)."
        )
        var passwordStdin = false

        func validate() throws {
            guard Role(rawValue: role) != nil else {
                throw ValidationError("--role must be user, admin or super_admin")
            }
            guard passwordStdin else {
                throw ValidationError("pass --password-stdin and the password on standard input")
            }
        }

        func run() async throws {
            guard let password = readLine(strippingNewline: true), !password.isEmpty else {
                throw CommandFailure("no password on standard input")
            }
            let (userID, name, email) = (userID, name ?? userID, email ?? "\(userID)@localhost.localdomain")
            let role = Role(rawValue: role) ?? .user
            try await CommandContext.withSlices { slices in
                let outcome = try await slices.accounts.register(
                    userID: userID,
                    password: password,
                    name: name,
                    email: email,
                    role: role
                )
                switch outcome {
                case .registered(let user):
                    try await slices.audit.record(
                        "operator.account.created",
                        actor: nil,
                        subject: user.userID,
                        address: nil,
                        facts: ["role": user.role.rawValue]
                    )
                    print(user.userID)
                case .exists: throw CommandFailure("the user '\(userID)' exists already")
                case .busy: throw CommandFailure("too busy to hash the password; try again")
                }
            }
        }
    }
}
