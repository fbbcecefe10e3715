import NIOCore

/// What the connections of one server share on one loop: who has not joined a namespace yet.
///
/// The connect timeout is one constant, so the list is sorted as it grows and one timer serves all of it.
/// Touched on its loop only, which is what makes it Sendable.
final class SocketLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let timeout: TimeAmount
    private var waiting: [Int: SocketClient] = [:]
    private var deadlines = CircularBuffer<(at: NIODeadline, ticket: Int)>()
    private var nextTicket = 0
    private var timerIsSet = false

    init(eventLoop: any EventLoop, timeout: TimeAmount) {
        self.eventLoop = eventLoop
        self.timeout = timeout
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
}
