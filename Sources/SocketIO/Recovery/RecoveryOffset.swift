/// A place in the events of one socket.
///
/// Broadcasts of a namespace are numbered by one counter, and every socket gets them in that order. An event to one
/// socket alone takes no number of that counter, which would cost a round trip: it comes after the broadcast that the
/// socket's loop has delivered last, and counts on from the socket's previous one. So the pairs order all events of a
/// socket, and having got one means having got all before it.
///
/// - Shape as text: `<epoch>.<broadcast>` or `<epoch>.<broadcast>.<direct>.<tag>`. The epoch changes when the counter
///   begins anew. The tag begins the socket's id: clients keep their last offset when they get a new session, and a
///   number of the old one must not pass for one of the new.
package struct RecoveryOffset: Sendable, Equatable, Comparable {
    static let tagLength = 6

    /// The last broadcast, 0 before the first.
    package var broadcast: Int
    /// The last event to this socket alone, 0 before the first; it comes after `broadcast`.
    package var direct: Int

    package init(broadcast: Int, direct: Int = 0) {
        self.broadcast = broadcast
        self.direct = direct
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.broadcast, left.direct) < (right.broadcast, right.direct)
    }

    package static func text(epoch: String, broadcast: Int) -> String { "\(epoch).\(broadcast)" }

    package func text(epoch: String, sid: String) -> String {
        "\(epoch).\(self.broadcast).\(self.direct).\(sid.prefix(Self.tagLength))"
    }

    /// Reads what a client sends: its place, or `zero` when the offset belongs to an earlier session of this client.
    ///
    /// - Bounds: 96 bytes; numbers up to 2^53, which is what Lua and JavaScript count to.
    /// - Returns: `nil` for anything that this server has not given out.
    package init?(_ text: String, epoch: String, sid: String) {
        guard text.utf8.count <= 96 else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 4, parts[0] == epoch, let broadcast = Self.number(parts[1]) else {
            return nil
        }
        self.init(broadcast: broadcast)
        guard parts.count == 4 else { return }
        guard let direct = Self.number(parts[2]), !parts[3].isEmpty else { return nil }
        // Of an earlier session of this client.
        guard parts[3] == sid.prefix(Self.tagLength) else {
            self.broadcast = 0
            return
        }
        self.direct = direct
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 16, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            return nil
        }
        return Int(text).flatMap { $0 < 1 << 53 ? $0 : nil }
    }
}
