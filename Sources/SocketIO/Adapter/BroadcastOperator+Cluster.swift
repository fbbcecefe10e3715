import NIOCore

/// What all nodes are asked about the chosen sockets. Each question is one round trip; see ``ClusterList`` for nodes
/// that do not answer.
extension BroadcastOperator {
    private var clusterTimeout: TimeAmount { self.patience ?? self.namespace.server.configuration.clusterTimeout }

    /// The chosen sockets, on whatever node they are. A node lists at most 10,000.
    package func fetchSockets() async -> ClusterList<RemoteSocket> {
        let namespace = self.namespace
        let (rooms, except, isLocal) = (self.rooms, self.exceptRooms, self.isLocal)
        async let here = namespace.describeSockets(rooms: rooms, except: except)
        let there = isLocal ? .init(answers: [], silentNodes: 0) : await self.ask(.sockets)
        var (sockets, missing) = await here
        for case .sockets(let part, let leftOut) in there.answers {
            sockets += part
            missing += Int(leftOut)
        }
        return ClusterList(
            elements: sockets.map { RemoteSocket($0, namespace) },
            silentNodes: there.silentNodes,
            missingSockets: missing
        )
    }

    /// How many sockets are in each of the rooms chosen, in their order; in the namespace, if none is. A socket in two
    /// rooms counts in both; `except` does not count.
    package func counts() async -> ClusterList<Int> {
        async let here = self.namespace.localCounts(self.rooms)
        let there = self.isLocal ? .init(answers: [], silentNodes: 0) : await self.ask(.counts(self.rooms))
        var counts = await here
        for case .counts(let more) in there.answers where more.count == counts.count {
            for index in counts.indices { counts[index] += Int(more[index]) }
        }
        return ClusterList(elements: counts, silentNodes: there.silentNodes, missingSockets: 0)
    }

    /// Emits to the chosen sockets and gathers the first argument of each acknowledgement, until all have answered or
    /// for as long as ``timeout(_:)`` said.
    package func emitWithAck(
        _ event: String,
        _ arguments: any Encodable & Sendable...
    ) async -> ClusterList<RawJSON> {
        await self.emitWithAck(event, arguments: encodeArguments(arguments))
    }

    /// The same with the answers decoded; one that does not fit counts as missing.
    package func emitWithAck<T: Decodable & Sendable>(
        _ event: String,
        _ arguments: any Encodable & Sendable...,
        as type: T.Type
    ) async -> ClusterList<T> {
        let answers = await self.emitWithAck(event, arguments: encodeArguments(arguments))
        let values = answers.compactMap { try? $0.decode(type) }
        let missing = answers.missingSockets + answers.count - values.count
        return ClusterList(elements: values, silentNodes: answers.silentNodes, missingSockets: missing)
    }

    package func emitWithAck(_ event: String, arguments: [RawJSON]) async -> ClusterList<RawJSON> {
        let namespace = self.namespace
        let configuration = namespace.server.configuration
        let timeout = self.patience ?? configuration.ackTimeout
        let id = ClusterMessage.randomID()
        let packet = EncodedPacket.event(namespace.name, event, arguments, id: Int(id))
        let (rooms, except, isLocal) = (self.rooms, self.exceptRooms, self.isLocal)
        async let here = namespace.emitWithAck(packet, id: Int(id), rooms, except, timeout)
        let milliseconds = UInt32(clamping: timeout.nanoseconds / 1_000_000)
        let there =
            isLocal
            ? .init(answers: [], silentNodes: 0)
            : await namespace.server.ask(
                .emit(packet, timeoutMs: milliseconds),
                id: id,
                namespace: namespace.name,
                rooms: rooms,
                except: except,
                // The other nodes wait for their sockets first.
                timeout: timeout + configuration.clusterTimeout
            )
        var (answers, missing) = await here
        for case .acks(let part, let silent) in there.answers {
            answers += part
            missing += Int(silent)
        }
        return ClusterList(elements: answers, silentNodes: there.silentNodes, missingSockets: missing)
    }

    private func ask(_ request: ClusterRequest) async -> ClusterRequests.Outcome {
        await self.namespace.server.ask(
            request,
            namespace: self.namespace.name,
            rooms: self.rooms,
            except: self.exceptRooms,
            timeout: self.clusterTimeout
        )
    }
}
