import EngineIO
package import NIOCore

/// Chooses sockets by rooms, then does something with all of them, on every node.
///
/// `io.to("seats:1").except("banned").emit("seat-locked", payload)`
package struct BroadcastOperator: Sendable {
    let namespace: Namespace
    private(set) var rooms: [String] = []
    private(set) var exceptRooms: [String] = []
    private(set) var isLocal = false
    private var isVolatile = false
    /// How long answers are waited for; `nil`: as the configuration says.
    private(set) var patience: TimeAmount?

    init(_ namespace: Namespace) { self.namespace = namespace }

    package func to(_ rooms: String...) -> Self { self.to(rooms) }
    package func `in`(_ rooms: String...) -> Self { self.to(rooms) }
    package func except(_ rooms: String...) -> Self { self.except(rooms) }

    package func to(_ rooms: [String]) -> Self { self.with { $0.rooms += rooms } }
    package func except(_ rooms: [String]) -> Self { self.with { $0.exceptRooms += rooms } }

    /// This node's sockets only.
    package var local: Self { self.with { $0.isLocal = true } }
    /// Sockets that have not taken what was sent before miss it.
    package var volatile: Self { self.with { $0.isVolatile = true } }

    /// How long `emitWithAck`, `fetchSockets` and `counts` wait for answers.
    package func timeout(_ time: TimeAmount) -> Self { self.with { $0.patience = time } }

    private func with(_ change: (inout Self) -> Void) -> Self {
        var copy = self
        change(&copy)
        return copy
    }

    // MARK: Emitting

    package func emit(_ event: String, _ arguments: any Encodable & Sendable...) {
        self.emit(event, arguments: encodeArguments(arguments))
    }

    package func emit(_ event: String, raw: ByteBuffer) { self.emit(event, arguments: [RawJSON(trusted: raw)]) }

    package func emit(_ event: String, arguments: [RawJSON]) {
        self.send(.event(self.namespace.name, event, arguments))
    }

    package func emit(prepared: PreparedEvent) { self.send(prepared.packet) }

    func emit(_ packet: EncodedPacket) { self.send(packet) }

    private func send(_ packet: EncodedPacket) {
        SocketIOMetrics.shared.broadcastSent()
        let (rooms, except, isVolatile) = (self.rooms, self.exceptRooms, self.isVolatile)
        if let recovery = self.namespace.recovery, !isVolatile,
            recovery.broadcast(packet, in: self.namespace, rooms: rooms, except: except, isLocal: self.isLocal)
        {
            if recovery.store?.isShared == false { self.publish(.broadcast(packet, isVolatile: false)) }
            return
        }
        self.namespace.onShards { shard in
            shard.broadcast(packet, rooms: rooms, except: except, isVolatile: isVolatile)
        }
        self.publish(.broadcast(packet, isVolatile: isVolatile))
    }

    // MARK: Managing

    package func socketsJoin(_ rooms: String...) { self.apply(.join(rooms)) }
    package func socketsLeave(_ rooms: String...) { self.apply(.leave(rooms)) }
    package func disconnectSockets(close: Bool = false) { self.apply(.disconnect(close: close)) }

    func apply(_ operation: ClusterMessage.Operation) {
        let (namespace, rooms, except) = (self.namespace, self.rooms, self.exceptRooms)
        if let recovery = namespace.recovery {
            recovery.afterBroadcasts { namespace.apply(operation, rooms: rooms, except: except) }
        } else {
            namespace.apply(operation, rooms: rooms, except: except)
        }
        self.publish(operation)
    }

    private func publish(_ operation: ClusterMessage.Operation) {
        guard !self.isLocal, let adapter = self.namespace.server.adapter else { return }
        adapter.publish(
            ClusterMessage(
                node: self.namespace.server.node,
                namespace: self.namespace.name,
                rooms: self.rooms,
                except: self.exceptRooms,
                operation: operation
            )
        )
    }

    /// This node's sockets themselves.
    package func localSockets() async -> [Socket] {
        var found: [Socket] = []
        let (rooms, except) = (self.rooms, self.exceptRooms)
        for shard in self.namespace.shards {
            let sockets = try? await shard.eventLoop.submit {
                var sockets: [Socket] = []
                shard.forEach(rooms: rooms, except: except) { sockets.append($0) }
                return sockets
            }.get()
            found += sockets ?? []
        }
        return found
    }
}

extension Namespace {
    /// Does to this node's sockets what an operator or another node asks.
    func apply(_ operation: ClusterMessage.Operation, rooms: [String], except: [String]) {
        self.onShards { shard in
            if case .broadcast(let packet, let isVolatile) = operation {
                return shard.broadcast(packet, rooms: rooms, except: except, isVolatile: isVolatile)
            }
            // Joining and leaving changes the lists that are walked over: choose first, then act.
            var sockets: [Socket] = []
            shard.forEach(rooms: rooms, except: except) { sockets.append($0) }
            for socket in sockets {
                switch operation {
                case .join(let names): for name in names { shard.join(socket, name) }
                case .leave(let names): for name in names { shard.leave(socket, name) }
                case .disconnect(let close): socket.disconnect(close: close)
                default: break
                }
            }
        }
    }
}
