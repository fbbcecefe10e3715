import EngineIO
import Metrics
import NIOCore

/// Carries a session by long-polling: answers the requests that connections of any loop hand over.
///
/// Touched on the session's loop only, which is what makes it Sendable.
final class PollingTransport: EngineTransport, EndOfTickFlushing, @unchecked Sendable {
    /// How long a session that we closed waits for the poll that hears of it.
    static let lingerTime = TimeAmount.seconds(10)

    private let session: EngineSession
    private var state: PollingState
    /// The GET that waits and the POST that is being read; one of each at most.
    private var waiting: HTTPExchange?
    private var posting: HTTPExchange?
    private var upgrading: UpgradingSocket?
    /// Ends an upgrade that takes too long, or the time for a last poll: never both.
    private var timeout: Scheduled<Void>?
    private(set) var closeReason: EngineCloseReason?
    /// The handshake is answered at once, with nothing behind it.
    private var isOpening = true
    /// The loop calls ``flush()`` at its tick's end.
    private var isDirty = false

    init(session: EngineSession) {
        self.session = session
        let configuration = session.loop.server.configuration
        self.state = PollingState(
            maxQueuedBytes: configuration.maxPendingOutboundBytes,
            maxPayload: configuration.maxPayload
        )
    }

    // MARK: EngineTransport

    /// Nothing was fetched that is not in the queue any more: what no poll has taken waits.
    var hasUnsentBytes: Bool { self.state.hasQueued && !self.state.isPolled }
    var unsentBytes: Int { self.state.queuedBytes }
    var upgrades: [String] { ["websocket"] }
    var isLingering: Bool { self.state.isLingering }

    func send(_ message: EngineMessage) {
        switch self.state.send(message) {
        case .none:
            break
        case .flush where self.isOpening:
            self.isOpening = false
            self.flush()
        case .flush where !self.isDirty:
            self.isDirty = true
            self.session.loop.markDirty(self)
        case .flush:
            break
        case .tooSlow:
            EngineMetrics.shared.slowConsumers.increment()
            self.session.close(.slowConsumer)
        }
    }

    /// The loop's tick is over, or the handshake is complete.
    func flush() {
        self.isDirty = false
        if let payload = self.state.flush() { self.answer(payload) }
    }

    func close(_ reason: EngineCloseReason) {
        self.closeReason = reason
        self.timeout?.cancel()
        self.timeout = nil
        let upgrading = self.upgrading
        self.upgrading = nil
        let wasProbed = self.state.isProbed
        switch self.state.close(reason) {
        case .answer(let payload): self.answer(payload)
        case .linger(let payload):
            if let payload { self.answer(payload) }
            self.timeout = self.session.eventLoop.scheduleTask(in: Self.lingerTime) { self.endLingering() }
        case .none: break
        }
        if wasProbed, self.isLingering {
            // It polls no more, so what is left for it and the end go over the WebSocket, when that has taken over.
            self.upgrading = upgrading
        } else {
            upgrading?.abandon(reason)
        }
        // It is still being read; one whose packets are being handled has left this place.
        guard let posting = self.posting else { return }
        posting.isAccepted = false
        self.posting = nil
        posting.answer(.refusal(.badRequest))
    }

    private func endLingering() {
        self.timeout?.cancel()
        self.timeout = nil
        self.state.end()
        let upgrading = self.upgrading
        self.upgrading = nil
        upgrading?.abandon(self.closeReason ?? .forcedClose)
        self.session.release()
    }

    private func answer(_ payload: ByteBuffer) {
        let exchange = self.waiting
        self.waiting = nil
        exchange?.answer(.payload(payload))
    }

    // MARK: Requests

    /// The handshake's own request: the first poll, in a way.
    func handshake(_ exchange: HTTPExchange) {
        if case .wait = self.state.poll() { self.waiting = exchange }
    }

    func poll(_ exchange: HTTPExchange) {
        switch self.state.poll() {
        case .wait:
            self.waiting = exchange
        case .answer(let payload):
            exchange.answer(.payload(payload))
        case .answerLast(let payload):
            exchange.answer(.payload(payload))
            self.endLingering()
        case .overlap:
            exchange.answer(.refusal(.badRequest))
            self.session.close(.transportError)
        case .gone:
            exchange.answer(.refusal(.unknownSession))
        }
    }

    func postBegan(_ exchange: HTTPExchange) {
        guard self.state.postBegan() else {
            exchange.answer(.refusal(.badRequest))
            return self.session.close(.transportError)
        }
        exchange.isAccepted = true
        self.posting = exchange
    }

    /// Its packets are about to be handled.
    func postEnded(_ exchange: HTTPExchange) {
        guard self.posting === exchange else { return }
        self.posting = nil
        self.state.postEnded()
    }

    /// The connection of `exchange` is gone; true if the session was waiting for it.
    func forget(_ exchange: HTTPExchange) -> Bool {
        if self.waiting === exchange {
            self.waiting = nil
            self.state.pollCut()
            return true
        }
        guard self.posting === exchange else { return false }
        self.postEnded(exchange)
        return true
    }

    // MARK: Upgrade

    func upgradeBegan(_ socket: UpgradingSocket) -> Bool {
        guard self.state.upgradeBegan() else { return false }
        self.upgrading = socket
        let time = self.session.loop.server.configuration.upgradeTimeout
        self.timeout = self.session.eventLoop.scheduleTask(in: time) { self.endUpgrade(.forcedClose) }
        return true
    }

    /// A packet over the WebSocket before it carries the session: the probe, the upgrade, or a mistake.
    ///
    /// - Source: Engine.IO protocol 4, "Upgrade".
    func probe(_ packet: EnginePacket, _ socket: UpgradingSocket) {
        guard self.upgrading === socket else { return }
        switch packet {
        case .ping(let data) where data == ByteBuffer(string: "probe"):
            socket.send(Self.probeAnswer)
            if let payload = self.state.upgradeProbed() { self.answer(payload) }
        case .upgrade:
            self.timeout?.cancel()
            self.timeout = nil
            self.upgrading = nil
            let (queued, released) = self.state.upgraded()
            if let released { self.answer(released) }
            self.session.upgrade(to: socket.takeOver(), queued, closing: self.closeReason)
        default:
            self.endUpgrade(.forcedClose)
        }
    }

    private static let probeAnswer = EngineMessage(.pong, data: "probe".utf8)

    /// The WebSocket is gone.
    func upgradeEnded(_ socket: UpgradingSocket) {
        if self.upgrading === socket { self.endUpgrade(.transportClose) }
    }

    /// Closes the WebSocket; the session goes on by polling.
    private func endUpgrade(_ reason: EngineCloseReason) {
        if !self.isLingering {
            self.timeout?.cancel()
            self.timeout = nil
        }
        let socket = self.upgrading
        self.upgrading = nil
        self.state.upgradeFailed()
        socket?.abandon(reason)
    }
}
