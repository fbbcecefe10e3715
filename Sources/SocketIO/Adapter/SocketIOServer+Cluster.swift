import NIOCore
import Synchronization

/// Questions to other nodes, and our answers to theirs.
extension SocketIOServer {
    /// Asks all other nodes that have the namespace.
    func ask(
        _ request: ClusterRequest,
        id: UInt64 = ClusterMessage.randomID(),
        namespace: String,
        rooms: [String] = [],
        except: [String] = [],
        timeout: TimeAmount
    ) async -> ClusterRequests.Outcome {
        guard let adapter = self.adapter else { return .init(answers: [], silentNodes: 0) }
        await adapter.readyForAnswers()
        let message = ClusterMessage(
            node: self.node,
            namespace: namespace,
            rooms: rooms,
            except: except,
            operation: .ask(id: id, request)
        )
        return await self.requests.ask(id: id, timeout: timeout, on: self.loops[0].eventLoop) { received in
            adapter.ask(message, received: received)
        }
    }

    /// A message of another node, from the adapter. Our own come back as well and are left out.
    package func deliver(_ message: ClusterMessage) {
        switch message.operation {
        case .ask(let id, _) where message.node == self.node: self.requests.echoed(id)
        case .answer(let id, let answer, let isLast): self.requests.answered(id, answer, isLast: isLast)
        case _ where message.node == self.node: break
        case .missed: self.messagesMayBeMissed()
        case .ask(let id, let request): self.answer(request, id: id, message)
        case .serverSide(let name, let arguments):
            self.existingNamespace(message.namespace)?.received(
                ServerSideEvent(name: name, arguments: arguments, node: message.node, answer: nil)
            )
        case .broadcast, .join, .leave, .disconnect:
            if self.keeps(message) { return }
            self.existingNamespace(message.namespace)?.apply(
                message.operation,
                rooms: message.rooms,
                except: message.except
            )
        }
    }

    private func answer(_ request: ClusterRequest, id: UInt64, _ message: ClusterMessage) {
        let send: @Sendable (ClusterAnswer, Bool) -> Void = { [weak self] answer, isLast in
            guard let self else { return }
            let reply = ClusterMessage(
                node: self.node,
                namespace: message.namespace,
                rooms: [],
                except: [],
                operation: .answer(id: id, answer, isLast: isLast)
            )
            self.adapter?.answer(reply, to: message.node)
        }
        // The asker counts on everybody who got the question: nothing to say has to be said.
        guard let namespace = self.existingNamespace(message.namespace) else { return send(.nothing, true) }
        switch request {
        case .counts(let rooms):
            namespace.localCounts(rooms) { counts in send(.counts(counts.map { UInt32(clamping: $0) }), true) }
        case .sockets:
            namespace.describeSockets(rooms: message.rooms, except: message.except) { sockets, leftOut in
                Self.sendParts(sockets, of: 128) { part, isLast in
                    send(.sockets(part, leftOut: isLast ? UInt32(clamping: leftOut) : 0), isLast)
                }
            }
        case .emit(let packet, let timeoutMs):
            let timeout = TimeAmount.milliseconds(Int64(timeoutMs))
            namespace.emitWithAck(packet, id: Int(id), message.rooms, message.except, timeout) { acks, silent in
                Self.sendParts(acks, of: 128) { part, isLast in
                    send(.acks(part, silent: isLast ? UInt32(clamping: silent) : 0), isLast)
                }
            }
        case .serverSide(let name, let arguments):
            let event = ServerSideEvent(name: name, arguments: arguments, node: message.node) { value in
                send(value.map { .serverSide($0) } ?? .nothing, true)
            }
            if !namespace.received(event) { send(.nothing, true) }
        }
    }

    /// Cuts a list so that no message gets longer than a subscriber takes.
    private static func sendParts<T>(_ list: [T], of size: Int, _ send: ([T], Bool) -> Void) {
        var rest = list[...]
        repeat {
            let part = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            send(part, rest.isEmpty)
        } while !rest.isEmpty
    }
}

extension ClusterMessage {
    /// Ids of requests, which are also the ids of the acknowledgements asked for: a socket's own count from 0 and do not
    /// get there. JavaScript counts up to 2^53.
    static func randomID() -> UInt64 { .random(in: (1 << 40)..<(1 << 52)) }
}

extension Namespace {
    static let maxDescribedSockets = 10_000

    /// Goes round the loops first: joins that were asked for before are on their way there.
    func localCounts(_ rooms: [String], _ done: @escaping @Sendable ([Int]) -> Void) {
        let rounds = self.shards.map { $0.eventLoop.submit {} }
        EventLoopFuture.whenAllComplete(rounds, on: self.shards[0].eventLoop).whenComplete { _ in
            done(rooms.isEmpty ? [self.localMemberCount()] : rooms.map { self.localMemberCount($0) })
        }
    }

    func localCounts(_ rooms: [String]) async -> [Int] {
        await withCheckedContinuation { continuation in
            self.localCounts(rooms) { continuation.resume(returning: $0) }
        }
    }

    /// Tells of the chosen sockets of this node, and how many more there are than it tells of.
    func describeSockets(
        rooms: [String],
        except: [String],
        _ done: @escaping @Sendable ([SocketDescription], Int) -> Void
    ) {
        let found = self.shards.map { shard in
            shard.eventLoop.submit {
                var sockets: [SocketDescription] = []
                var leftOut = 0
                shard.forEach(rooms: rooms, except: except) { socket in
                    if sockets.count < Self.maxDescribedSockets {
                        sockets.append(socket.description)
                    } else {
                        leftOut += 1
                    }
                }
                return (sockets, leftOut)
            }
        }
        EventLoopFuture.whenAllComplete(found, on: self.shards[0].eventLoop).whenSuccess { results in
            let parts = results.compactMap { try? $0.get() }
            let sockets = parts.flatMap(\.0)
            let leftOut = parts.reduce(0) { $0 + $1.1 } + max(0, sockets.count - Self.maxDescribedSockets)
            done(Array(sockets.prefix(Self.maxDescribedSockets)), leftOut)
        }
    }

    func describeSockets(rooms: [String], except: [String]) async -> ([SocketDescription], Int) {
        await withCheckedContinuation { continuation in
            self.describeSockets(rooms: rooms, except: except) { continuation.resume(returning: ($0, $1)) }
        }
    }

    func emitWithAck(
        _ packet: EncodedPacket,
        id: Int,
        _ rooms: [String],
        _ except: [String],
        _ timeout: TimeAmount
    ) async -> ([RawJSON], Int) {
        await withCheckedContinuation { continuation in
            self.emitWithAck(packet, id: id, rooms, except, timeout) { continuation.resume(returning: ($0, $1)) }
        }
    }

    /// Emits a packet that asks for an acknowledgement under `id` to the chosen sockets of this node; tells what they
    /// answered, and how many did not, when all have or after `timeout`.
    func emitWithAck(
        _ packet: EncodedPacket,
        id: Int,
        _ rooms: [String],
        _ except: [String],
        _ timeout: TimeAmount,
        _ done: @escaping @Sendable ([RawJSON], Int) -> Void
    ) {
        let gathering = AckGathering(shards: self.shards.count, done)
        self.onShards { shard in
            var asked: [Socket] = []
            shard.forEach(rooms: rooms, except: except) { socket in
                gathering.asks()
                socket.expectAck(id) { result in
                    if case .success(let event) = result { gathering.answered(event[0]) } else { gathering.failed() }
                }
                socket.write(packet)
                asked.append(socket)
            }
            gathering.hasAskedAll()
            guard !asked.isEmpty else { return }
            // One timer for all of them.
            let sockets = asked
            shard.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
                for socket in sockets { socket.giveUpAck(id) }
            }
        }
    }
}

/// The acknowledgements of one emit to many sockets of this node.
private final class AckGathering: Sendable {
    private struct State {
        /// Loops that still ask, and sockets that have not answered.
        var open: Int
        var answers: [RawJSON] = []
        var silent = 0
        var done: (@Sendable ([RawJSON], Int) -> Void)?
    }

    private let state: Mutex<State>

    init(shards: Int, _ done: @escaping @Sendable ([RawJSON], Int) -> Void) {
        self.state = Mutex(State(open: shards, done: done))
    }

    func asks() { self.state.withLock { $0.open += 1 } }
    func hasAskedAll() { self.change { _ in } }
    func answered(_ value: RawJSON) { self.change { $0.answers.append(value) } }
    func failed() { self.change { $0.silent += 1 } }

    private func change(_ body: (inout sending State) -> Void) {
        let finish: (@Sendable () -> Void)? = self.state.withLock { state in
            body(&state)
            state.open -= 1
            guard state.open == 0, let done = state.done else { return nil }
            state.done = nil
            let (answers, silent) = (state.answers, state.silent)
            return { done(answers, silent) }
        }
        finish?()
    }
}
