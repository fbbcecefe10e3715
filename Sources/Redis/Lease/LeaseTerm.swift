/// How long a lease is surely ours, by our own monotonic clock. Pure: the time is passed in.
///
/// Redis starts counting when the script runs, which is after we sent it; counting from before the sending we always
/// believe the end to be earlier than Redis does. The margin is the time that a body has to notice its cancellation.
struct LeaseTerm: Equatable {
    let ttl: Duration
    /// The moment before the last successful request was sent.
    private(set) var since: ContinuousClock.Instant

    init(ttl: Duration, since: ContinuousClock.Instant) {
        self.ttl = ttl
        self.since = since
    }

    mutating func renewed(since: ContinuousClock.Instant) {
        self.since = since
    }

    /// The body must be cancelled by now at the latest.
    var end: ContinuousClock.Instant { since + ttl - Self.margin(ttl) }

    var renewal: ContinuousClock.Instant { since + ttl / 4 }

    func isSurelyOurs(at now: ContinuousClock.Instant) -> Bool {
        now < end
    }

    static func margin(_ ttl: Duration) -> Duration {
        ttl / 8
    }

    /// The pause between attempts to take a lease that another holds, or to renew one after a failure.
    static func retryDelay(_ ttl: Duration) -> Duration {
        ttl / 8
    }
}
