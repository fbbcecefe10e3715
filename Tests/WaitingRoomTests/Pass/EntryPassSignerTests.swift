import HoldfastCore
import Testing

@testable import WaitingRoom

@Suite struct EntryPassSignerTests {
    private let secrets = ["first secret of the service", "second secret of the service"]
    private let now = ServerTime(millisecondsSinceEpoch: 1_700_000_000_000)

    private func token(_ signer: EntryPassSigner) async throws -> String {
        let user = try #require(UserID("ann"))
        return try await signer.sign(user: user, event: EventID(), issuedAt: now, expiresAt: now + .seconds(60))
    }

    @Test("Another instance with the same secret reads the pass, until it expires")
    func roundTrip() async throws {
        let token = try await token(try await EntryPassSigner(secrets: secrets))
        let other = try await EntryPassSigner(secrets: secrets)
        let pass = try await other.verify(token, now: now)
        #expect(pass.user.rawValue == "ann")
        #expect(pass.expiresAt == now + .seconds(60))
        await #expect(throws: EntryPassSigner.Failure.expired) {
            try await other.verify(token, now: now + .seconds(60))
        }
    }

    @Test("After a rotation passes of the older secret stay good, and its key stays published")
    func rotation() async throws {
        let old = try await EntryPassSigner(secrets: [secrets[1]])
        let token = try await token(old)
        let new = try await EntryPassSigner(secrets: secrets)
        #expect(try await new.verify(token, now: now).user.rawValue == "ann")
        #expect(new.jwks.split(separator: "\"kid\"").count == 3)
        #expect(!new.jwks.contains("\"d\""))
    }

    @Test("A changed, truncated, unsigned or foreign pass is refused")
    func forged() async throws {
        let signer = try await EntryPassSigner(secrets: secrets)
        let good = try await token(signer)
        let foreign = try await token(try await EntryPassSigner(secrets: ["a secret of somebody else"]))
        let audience = try await token(try await EntryPassSigner(secrets: secrets, audience: "other"))
        let parts = good.split(separator: ".")
        // {"alg":"none"}
        let unsigned = "eyJhbGciOiJub25lIn0.\(parts[1])."
        for bad in [
            foreign, audience, unsigned, String(good.dropLast(4)), "", "a.b.c", String(repeating: "x", count: 9_000),
        ] {
            await #expect(throws: EntryPassSigner.Failure.invalid) { try await signer.verify(bad, now: now) }
        }
        await #expect(throws: EntryPassSigner.Failure.weakSecret) { try await EntryPassSigner(secrets: ["short"]) }
    }
}
