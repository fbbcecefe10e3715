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
package struct RecoveryOffset: Sendable, Hashable, Comparable {
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

    /// Reads what a client sends: its place, or zero when the offset belongs to an earlier session of this client.
    ///
    /// - Returns: `nil` for anything that this life of the counter has not given out.
    package init?(_ text: String, epoch: String, sid: String) {
        guard let parts = Parts(text), parts.epoch == epoch else { return nil }
        let isOfThisSession = parts.tag.isEmpty || sid.hasPrefix(parts.tag)
        self.init(broadcast: isOfThisSession ? parts.broadcast : 0, direct: isOfThisSession ? parts.direct : 0)
    }

    /// Reads the id of a stream's entry, `<broadcast>-<direct>`.
    package init?(streamID text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let broadcast = Self.number(parts[0]), let direct = Self.number(parts[1]) else {
            return nil
        }
        self.init(broadcast: broadcast, direct: direct)
    }

    /// An offset's text, taken apart.
    package struct Parts: Sendable {
        package let epoch: String
        package let broadcast: Int
        package let direct: Int
        /// Empty when the offset is that of a broadcast.
        package let tag: String

        /// - Bounds: 96 bytes; numbers up to 2^53, which is what Lua and JavaScript count to.
        package init?(_ text: String) {
            guard text.utf8.count <= 96 else { return nil }
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2 || parts.count == 4, !parts[0].isEmpty,
                let broadcast = RecoveryOffset.number(parts[1])
            else {
                return nil
            }
            self.epoch = String(parts[0])
            self.broadcast = broadcast
            guard parts.count == 4 else {
                (self.direct, self.tag) = (0, "")
                return
            }
            guard let direct = RecoveryOffset.number(parts[2]), direct > 0,
                parts[3].utf8.count == RecoveryOffset.tagLength
            else { return nil }
            (self.direct, self.tag) = (direct, String(parts[3]))
        }
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 16, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            return nil
        }
        return Int(text).flatMap { $0 < 1 << 53 ? $0 : nil }
    }
}
