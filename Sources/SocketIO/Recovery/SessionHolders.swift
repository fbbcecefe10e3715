/// Who has a session on one node: connected sockets, and connections that are about to get one back. Pure: no I/O.
///
/// Of several connections that ask for one session the last on this node is to have it, and at the store the last claim.
/// The two orders may differ, and the store's answers and its words to everybody come by different ways. So a claim of one
/// that was overtaken here is no loss to the one who overtook it, who claims once more; and where that one has gone
/// without because of it, it is good after all. Somebody has to get the session.
struct SessionHolders<Socket> {
    private struct Holder {
        var owner: String
        /// The claim by which it has the session; `nil` until the store has answered.
        var claim: Int?
        /// The last claim made by a connection that this one has overtaken here.
        var overtaken = 0
        /// Whether it may claim once more, should another have the session at the store.
        var isReserved = true
        /// `nil` while it is being restored.
        var socket: Socket?
    }

    private var holders: [String: Holder] = [:]

    var sockets: [Socket] { self.holders.values.compactMap(\.socket) }

    /// - Returns: the socket that had it.
    mutating func reserve(_ pid: String, owner: String) -> Socket? {
        self.holders.updateValue(Holder(owner: owner), forKey: pid)?.socket
    }

    func isReserved(_ pid: String, for owner: String) -> Bool {
        self.holders[pid].map { $0.owner == owner && $0.isReserved } ?? false
    }

    func has(_ pid: String, _ owner: String) -> Bool { self.holders[pid]?.owner == owner }

    mutating func hold(_ pid: String, owner: String, claim: Int, _ socket: Socket) {
        self.holders[pid] = Holder(
            owner: owner,
            claim: claim,
            overtaken: self.holders[pid]?.overtaken ?? 0,
            socket: socket
        )
    }

    mutating func release(_ pid: String, owner: String) {
        if self.has(pid, owner) { self.holders[pid] = nil }
    }

    /// - Returns: whether the session is to be restored to this connection.
    mutating func took(_ pid: String, owner: String, claim: Int) -> Bool {
        guard let holder = self.holders[pid] else {
            // Who overtook it here has been told of this very claim, or is gone.
            self.holders[pid] = Holder(owner: owner, claim: claim, isReserved: false)
            return true
        }
        guard holder.owner == owner else {
            self.holders[pid]?.overtaken = max(holder.overtaken, claim)
            return false
        }
        self.holders[pid]?.claim = claim
        return true
    }

    /// - Returns: the socket that has lost the session.
    mutating func lost(_ pid: String, by claim: Int) -> Socket? {
        guard let holder = self.holders[pid], let own = holder.claim, max(own, holder.overtaken) < claim else {
            return nil
        }
        self.holders[pid] = nil
        return holder.socket
    }
}
