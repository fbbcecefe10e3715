import NIOCore
import Synchronization

/// What a connection tells its client. Called on the connection's event loop.
protocol CommandConnectionOwner: AnyObject, Sendable {
    /// `count` commands no longer take room on the connection.
    func released(_ slot: Int, _ count: Int)
    /// The connection takes no newcomers any more; those in flight still get their answers.
    func closing(_ slot: Int)
    /// The connection is gone; `unwritten` were never sent and may go elsewhere.
    func disconnected(_ slot: Int, unwritten: [RedisRequest])
    /// A request ended on the connection.
    func ended(_ outcome: RedisMetrics.Outcome, _ count: Int)
}

/// One signed-in connection that carries pipelined commands.
///
/// Callers on any thread leave requests in the inbox; only the first since the last drain wakes the event loop, which
/// then writes all of them and flushes once.
final class CommandConnection: Sendable {
    private struct Inbox {
        var requests: [RedisRequest] = []
        var isClosed = false
    }

    private let inbox = Mutex(Inbox())
    private let core: NIOLoopBound<CommandConnectionCore>
    private let loop: any EventLoop
    let endpoint: RedisEndpoint
    let closed: EventLoopFuture<Void>

    /// Must be called on the channel's event loop.
    init(_ connected: ConnectedChannel, slot: Int, stall: TimeAmount, owner: any CommandConnectionOwner) {
        loop = connected.channel.eventLoop
        endpoint = connected.endpoint
        let promise = loop.makePromise(of: Void.self)
        closed = promise.futureResult
        let core = CommandConnectionCore(connected.channel, slot: slot, stall: stall, owner: owner, closed: promise)
        self.core = NIOLoopBound(core, eventLoop: loop)
    }

    /// Must be called on the channel's event loop, once.
    func start(_ connected: ConnectedChannel) {
        core.value.takeInbox = { [self] isClosing in
            inbox.withLock { inbox in
                if isClosing { inbox.isClosed = true }
                defer { inbox.requests = [] }
                return inbox.requests
            }
        }
        connected.handler.value.attach(core.value)
    }

    /// False when the connection is closed and the request must go elsewhere.
    func submit(_ request: RedisRequest) -> Bool {
        let (isTaken, isFirst) = inbox.withLock { inbox in
            guard !inbox.isClosed else { return (false, false) }
            inbox.requests.append(request)
            return (true, inbox.requests.count == 1)
        }
        if isFirst { loop.execute { self.core.value.drain() } }
        return isTaken
    }

    /// Closes as soon as nothing is in flight, or after `limit`.
    func close(within limit: TimeAmount) {
        loop.execute { self.core.value.close(within: limit) }
    }
}

/// The part of a connection that lives on its event loop.
final class CommandConnectionCore: RESPReceiver {
    /// Requests that came since the last call; true closes the inbox. Set by the connection, dropped at the end.
    var takeInbox: ((_ isClosing: Bool) -> [RedisRequest])?

    private let channel: any Channel
    private let slot: Int
    private weak var owner: (any CommandConnectionOwner)?
    private let closedPromise: EventLoopPromise<Void>
    private var queue: CommandQueue<RedisRequest>
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var releasable = 0
    private var isClosing = false
    private var hasEnded = false
    private var cause: RedisError?

    init(
        _ channel: any Channel,
        slot: Int,
        stall: TimeAmount,
        owner: any CommandConnectionOwner,
        closed: EventLoopPromise<Void>
    ) {
        self.channel = channel
        self.slot = slot
        self.owner = owner
        closedPromise = closed
        queue = CommandQueue(stall: stall)
        self.stall = stall
    }

    private let stall: TimeAmount

    // MARK: Writing

    func drain() {
        guard !hasEnded, let requests = takeInbox?(false), !requests.isEmpty else { return }
        let now = NIODeadline.now()
        var output = ByteBuffer()
        var earliest = now + stall
        for request in requests {
            guard request.markWritten() else {
                releasable += request.count
                continue
            }
            queue.append(request, count: request.count, deadline: request.deadline, now: now)
            earliest = min(earliest, request.deadline)
            if output.readableBytes == 0 {
                output = request.bytes
            } else if output.readableBytes + request.bytes.readableBytes <= Self.maxJoinedBytes {
                output.writeImmutableBuffer(request.bytes)
            } else {
                channel.write(output, promise: nil)
                output = request.bytes
            }
        }
        if output.readableBytes > 0 { channel.writeAndFlush(output, promise: nil) }
        schedule(earliest)
        release()
    }

    /// Small requests are joined into writes of this size: one system call and one promise for many commands.
    private static let maxJoinedBytes = 64 * 1024

    // MARK: Reading

    func received(_ reply: RESPValue) {
        switch queue.receive(reply, now: .now()) {
        case .partial:
            releasable += 1
        case .complete(let request, let replies):
            releasable += 1
            if request.succeed(replies) {
                owner?.ended(.answered, request.count)
            }
        case .unexpected:
            end(RedisError(.protocolViolation, "Redis answered a question that nobody asked", mayHaveRun: true))
            return
        }
        if case .error(let text) = reply, RedisServerError(text).makesConnectionUseless {
            // The server is no longer the primary. Those in flight still get their answers; newcomers look elsewhere.
            close(within: stall)
        }
    }

    func receivedAll() {
        release()
        if queue.isEmpty {
            timer?.cancel()
            timer = nil
            timerDeadline = .distantFuture
            if isClosing { end(nil) }
        }
    }

    private func release() {
        guard releasable > 0 else { return }
        let count = releasable
        releasable = 0
        if !hasEnded { owner?.released(slot, count) }
    }

    // MARK: Deadlines

    private func schedule(_ deadline: NIODeadline) {
        guard deadline < timerDeadline, !queue.isEmpty else { return }
        timer?.cancel()
        timerDeadline = deadline
        let core = NIOLoopBound(self, eventLoop: channel.eventLoop)
        timer = channel.eventLoop.scheduleTask(deadline: deadline) { core.value.expire() }
    }

    private func expire() {
        timerDeadline = .distantFuture
        let expiry = queue.expire(now: .now())
        for request in expiry.overdue {
            let isFirst = request.fail { isWritten in
                RedisError(.timeout, "Redis did not answer before the command's deadline", mayHaveRun: isWritten)
            }
            if isFirst { owner?.ended(.timedOut, request.count) }
        }
        if expiry.isStalled {
            end(RedisError(.timeout, "Redis sent nothing for \(stall.nanoseconds / 1_000_000) ms", mayHaveRun: true))
        } else if let next = expiry.next {
            schedule(next)
        }
    }

    // MARK: The end

    func close(within limit: TimeAmount) {
        guard !isClosing, !hasEnded else { return }
        isClosing = true
        owner?.closing(slot)
        drain()
        if queue.isEmpty {
            end(nil)
        } else {
            let core = NIOLoopBound(self, eventLoop: channel.eventLoop)
            channel.eventLoop.scheduleTask(in: limit) { core.value.end(nil) }
        }
    }

    func closed(_ error: RedisError) {
        end(error)
    }

    private func end(_ error: RedisError?) {
        guard !hasEnded else { return }
        hasEnded = true
        timer?.cancel()
        let unwritten = takeInbox?(true) ?? []
        takeInbox = nil
        let cause = error ?? RedisError(.connection, "the connection was closed")
        for request in queue.drain() {
            if request.fail({ cause.with(mayHaveRun: $0) }) { owner?.ended(.lost, request.count) }
        }
        owner?.disconnected(slot, unwritten: unwritten)
        channel.close(promise: nil)
        closedPromise.succeed()
    }
}
