import NIOCore
import Redis
import SocketIO
import Synchronization

/// A client comes back.
extension RedisRecoveryStore {
    private static let maxReplayBytes = 16 * 1024 * 1024

    func claim(_ request: RecoveryRequest) async -> RecoveryClaim? {
        var offset: RecoveryOffset.Parts?
        if let text = request.offset {
            guard let parts = RecoveryOffset.Parts(text) else { return nil }
            offset = parts
        }
        let reply = await self.call(
            RecoveryScripts.claim,
            request.namespace,
            keys: [self.keys(request.namespace).session(request.pid)],
            [
                RedisArgument(request.owner), RedisArgument(self.durationMs),
                RedisArgument(self.link.channel(request.namespace, [])), RedisArgument(request.pid),
                RedisArgument(offset?.epoch ?? ""), RedisArgument(offset?.broadcast ?? 0),
                RedisArgument(offset?.direct ?? 0), RedisArgument(offset?.tag ?? ""),
            ]
        )
        guard let reply, reply.count > 5, let broadcast = reply[2].int, let direct = reply[3].int,
            let number = reply[4].int
        else { return nil }
        var fields: [String: RESPValue] = [:]
        for index in stride(from: 5, to: reply.count - 1, by: 2) {
            if let name = reply[index].string { fields[name] = reply[index + 1] }
        }
        guard let sid = fields["sid"]?.string, let start = fields["start"]?.int else { return nil }
        var stays: [String: Int] = [:]
        for (name, value) in fields where name.hasPrefix("r:") { stays[String(name.dropFirst(2))] = value.int ?? 0 }
        return RecoveryClaim(
            request,
            number: number,
            sid: sid,
            start: start,
            stays: stays,
            data: fields["data"]?.buffer.flatMap { try? RawJSON(validating: $0) },
            offset: RecoveryOffset(broadcast: broadcast, direct: direct),
            seen: offset.map { RecoveryOffset(broadcast: $0.broadcast, direct: $0.direct) },
            epoch: reply[0].string ?? ""
        )
    }

    func missed(_ claim: RecoveryClaim) async -> RecoveryReplay? {
        let keys = self.keys(claim.namespace)
        // What is published after the reading has to arrive here. A namespace by pattern may be new to this node.
        await self.link.ready(claim.namespace)
        self.state.withLock { _ = $0.prepared.insert(claim.namespace) }
        let reply = await self.call(
            RecoveryScripts.read,
            claim.namespace,
            keys: [keys.session(claim.pid), keys.directs(claim.pid), keys.everyone],
            [
                RedisArgument(claim.owner), RedisArgument(claim.epoch), RedisArgument(claim.offset.broadcast),
                RedisArgument(claim.offset.direct), RedisArgument(keys.roomPrefix),
                RedisArgument(Self.maxReplayBytes),
            ]
        )
        guard let reply, reply.count >= 4, let through = reply[1].int, let directCount = reply[2].int,
            let directs = reply[3].int, 4 + 2 * directs <= reply.count
        else { return nil }
        var events: [RecoveryOffset: EncodedPacket] = [:]
        for index in stride(from: 4, to: reply.count - 1, by: 2) {
            guard let offset = reply[index].string.flatMap(RecoveryOffset.init(streamID:)),
                let bytes = reply[index + 1].buffer
            else { return nil }
            if index < 4 + 2 * directs {
                // Kept as it was sent, with its offset.
                events[offset] = RecoveryNotice.packet(bytes)
                continue
            }
            guard let message = RecoveryNotice.message(bytes, epoch: claim.epoch, number: offset.broadcast)?.0 else {
                return nil
            }
            if message.isFor(sid: claim.sid, since: claim.start, stays: claim.stays) { events[offset] = message.packet }
        }
        return RecoveryReplay(
            epoch: claim.epoch,
            through: through,
            events: events.sorted { $0.key < $1.key }.map { .init(offset: $0.key, packet: $0.value) },
            // A node that was killed may have sent more than it could keep.
            directCount: max(directCount, claim.seen?.direct ?? 0)
        )
    }
}
