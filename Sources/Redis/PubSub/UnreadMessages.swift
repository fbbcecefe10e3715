package import Logging
import Metrics
import Synchronization

/// Messages of other instances that this one cannot read, as those of a release that says things otherwise: passed over,
/// counted for each channel, and told in the log the first time.
///
/// Messages begin with their kind or carry a version, so that they are told apart; what is passed over is made up for by
/// looking at the state, as if Pub/Sub had lost it.
package final class UnreadMessages: Sendable {
    private let channel: String
    private let counter: Counter
    private let isKnown = Atomic<Bool>(false)

    /// - Parameter channel: of a closed set of names.
    package init(channel: String) {
        self.channel = channel
        counter = Counter(label: "holdfast_messages_passed_over_total", dimensions: [("channel", channel)])
    }

    package func passedOver(_ logger: Logger) {
        counter.increment()
        let isFirst = !isKnown.exchange(true, ordering: .relaxed)
        logger.log(
            level: isFirst ? .notice : .debug,
            "a message of another release was passed over",
            metadata: ["channel": "\(channel)"]
        )
    }
}
