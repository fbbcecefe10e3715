import HoldfastCore

/// A draw as it is published, with all that is needed to check it; names are not.
package struct PublishedDraw: Sendable, Equatable, Codable {
    package var eventId: String
    /// SHA-256 of the secret.
    package var commitment: String
    package var rosterRoot: String
    /// Whether nobody can be added any more.
    package var rosterClosed: Bool
    /// Once drawn.
    package var secret: String?
    /// Hashes of the people in the roster, in its order.
    package var leaves: [String]
}

/// One person's place in a draw, as only they are shown it.
package struct DrawProof: Sendable, Equatable, Codable {
    package var userId: String
    package var ticket: String
    package var leaf: String
    /// From 0 on.
    package var index: Int
    package var rosterSize: Int
    /// The neighbours on the way to the root, lowest first.
    package var path: [String]
    /// The place drawn, from 1 on; once drawn.
    package var rank: Int?
}

/// One thing that a draw was checked for.
package struct DrawFinding: Sendable, Equatable {
    package var holds: Bool
    package var text: String
}

extension PublishedDraw {
    /// Checks everything there is to check, with nothing but the published draw and what one noted oneself.
    ///
    /// - Parameters:
    ///   - proof: one's own place, if it is to be checked as well.
    ///   - noted: the commitment as it was before the draw.
    package func findings(proof: DrawProof? = nil, noted: String? = nil) -> [DrawFinding] {
        var findings: [DrawFinding] = []
        func check(_ holds: Bool, _ text: String) { findings.append(DrawFinding(holds: holds, text: text)) }
        if let noted {
            check(noted.lowercased() == commitment, "the commitment is the one that was noted before")
        }
        let hashes = leaves.compactMap { LobbyDraw.bytes(hex: $0) }.filter { $0.count == 32 }
        check(hashes.count == leaves.count, "the roster is a list of \(leaves.count) SHA-256 hashes")
        check(Set(hashes).count == hashes.count, "nobody is in the roster twice")
        let root = MerkleTree(leaves: hashes).root
        check(LobbyDraw.hex(root) == rosterRoot, "the roster's Merkle root is the published one")
        check(rosterClosed, "the roster is closed")
        var order: [Int]?
        if let secret, let bytes = LobbyDraw.bytes(hex: secret), let event = EventID(eventId) {
            check(LobbyDraw.commitment(to: bytes) == commitment, "the secret is the one that was committed to")
            order = LobbyDraw.order(of: hashes, root: root, secret: bytes, event: event)
        } else {
            check(false, "the secret has been revealed")
        }
        if let proof { findings += self.findings(about: proof, hashes, order) }
        return findings
    }

    private func findings(about proof: DrawProof, _ hashes: [MerkleTree.Hash], _ order: [Int]?) -> [DrawFinding] {
        let leaf = LobbyDraw.leaf(ticket: proof.ticket, user: proof.userId)
        let isThere = hashes.indices.contains(proof.index) && hashes[proof.index] == leaf
        let path = proof.path.compactMap { LobbyDraw.bytes(hex: $0) }
        let root = MerkleTree.root(leaf: leaf, at: proof.index, of: proof.rosterSize, path: path)
        var findings = [
            DrawFinding(
                holds: LobbyDraw.hex(leaf) == proof.leaf,
                text: "the leaf of \(proof.userId) is made of their ticket"
            ),
            DrawFinding(holds: isThere, text: "\(proof.userId) is number \(proof.index) in the roster"),
            DrawFinding(
                holds: root.map { LobbyDraw.hex($0) } == rosterRoot,
                text: "the Merkle path leads from the leaf to the published root"
            ),
        ]
        if let order {
            let rank = order.firstIndex(of: proof.index).map { $0 + 1 }
            findings.append(
                DrawFinding(
                    holds: rank != nil && rank == proof.rank,
                    text: "the secret draws place \(rank.map(String.init) ?? "none"), the service said "
                        + (proof.rank.map(String.init) ?? "none")
                )
            )
        }
        return findings
    }
}
