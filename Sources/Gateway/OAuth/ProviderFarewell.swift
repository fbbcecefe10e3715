import Logging
import OAuth
import ServiceLifecycle
import Sessions

/// Takes the provider's tokens back when a session that was made there ends here, whoever ended it: its owner on any
/// device, an administrator, another sign-in, a stolen refresh token.
///
/// The tokens open nothing here from the moment the session ends. This is for what they open elsewhere, so it may come a
/// little later, and what a leaving instance had not told yet runs out by itself.
struct ProviderFarewell: Service {
    let front: OAuthFront
    let endings: SessionEndings
    let logger: Logger

    func run() async {
        for await ending in endings.stream.cancelOnGracefulShutdown() {
            do {
                try await front.signOut(user: ending.user, session: ending.handle.rawValue)
            } catch {
                logger.debug("the provider's tokens were not taken back", metadata: ["error": "\(error)"])
            }
        }
    }
}
