import EngineIO
import NIOCore

/// What the connections of one server share on one loop: who has not joined a namespace yet, and who owes attachments.
///
/// The connect timeout is one constant, so the list is sorted as it grows and one timer serves all of it.
/// Touched on its loop only, which is what makes it Sendable.
final class SocketLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    let executor: LoopTaskExecutor
    private let timeout: TimeAmount
    private var waiting: [Int: SocketClient] = [:]
    private var deadlines = CircularBuffer<(at: NIODeadline, ticket: Int)>()
    private var nextTicket = 0
    private var timerIsSet = false
    private let attachmentTimeout: TimeAmount
    /// By ticket. Most entries live for less than a millisecond, so they are looked through now and then instead of
    /// having a timer each.
    private var owing: [Int: (client: SocketClient, deadline: NIODeadline)] = [:]
    private var sweepIsSet = false

    init(eventLoop: any EventLoop, configuration: SocketIOConfiguration) {
        self.eventLoop = eventLoop
        self.executor = LoopTaskExecutor(eventLoop)
        self.timeout = configuration.connectTimeout
        self.attachmentTimeout = configuration.attachmentTimeout
    }

    func opened(_ client: SocketClient) {
        self.nextTicket += 1
        client.ticket = self.nextTicket
        self.waiting[client.ticket] = client
        self.deadlines.append((NIODeadline.now() + self.timeout, client.ticket))
        self.setTimer()
    }

    /// The client has joined a namespace, or is gone.
    func connected(_ client: SocketClient) {
        self.waiting.removeValue(forKey: client.ticket)
    }

    private func setTimer() {
        guard !self.timerIsSet, let first = self.deadlines.first else { return }
        self.timerIsSet = true
        self.eventLoop.assumeIsolated().scheduleTask(deadline: first.at) { self.runTimer() }
    }

    private func runTimer() {
        self.timerIsSet = false
        let now = NIODeadline.now()
        var late: [SocketClient] = []
        while let first = self.deadlines.first, first.at <= now {
            self.deadlines.removeFirst()
            if let client = self.waiting.removeValue(forKey: first.ticket) { late.append(client) }
        }
        self.setTimer()
        for client in late { client.connectTimedOut() }
    }

    // MARK: Attachments

    /// The client has announced an attachment that is still to come.
    func awaitsAttachment(_ client: SocketClient) {
        self.owing[client.ticket] = (client, NIODeadline.now() + self.attachmentTimeout)
        self.setSweep()
    }

    /// All have come, or the client is gone.
    func hasAttachments(_ client: SocketClient) {
        self.owing.removeValue(forKey: client.ticket)
    }

    private func setSweep() {
        guard !self.sweepIsSet, !self.owing.isEmpty else { return }
        self.sweepIsSet = true
        let pause = TimeAmount.nanoseconds(max(1_000_000, self.attachmentTimeout.nanoseconds / 2))
        self.eventLoop.assumeIsolated().scheduleTask(in: pause) { self.sweep() }
    }

    private func sweep() {
        self.sweepIsSet = false
        let now = NIODeadline.now()
        for (ticket, entry) in self.owing where entry.deadline <= now {
            self.owing.removeValue(forKey: ticket)
            entry.client.attachmentTimedOut()
        }
        self.setSweep()
    }
}
