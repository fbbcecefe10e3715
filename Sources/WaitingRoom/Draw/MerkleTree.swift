import Crypto

/// A hash over a list that lets anyone check one entry without seeing the others.
///
/// - Shape: RFC 6962, section 2.1: a leaf is SHA-256 of 0x00 and its data, a node SHA-256 of 0x01 and its two children,
///   so that no node can be passed off as a leaf. The last node of an odd row moves up as it is.
/// - Bounds: twice the leaves; 100,000 take about 13 MB.
package struct MerkleTree: Sendable, Equatable {
    package typealias Hash = [UInt8]

    /// The first row are the leaves, the last one is the root alone.
    private let rows: [[Hash]]

    package init(leaves: [Hash]) {
        var rows = [leaves]
        while var row = rows.last, row.count > 1 {
            let above = stride(from: 0, to: row.count, by: 2).map { index in
                index + 1 < row.count ? Self.node(row[index], row[index + 1]) : row[index]
            }
            row.removeAll()
            rows.append(above)
        }
        self.rows = rows
    }

    package var leaves: [Hash] { rows[0] }

    /// Of no leaves at all: the hash of nothing.
    package var root: Hash { rows.last?.first ?? Array(SHA256.hash(data: [UInt8]())) }

    /// The neighbours of a leaf on its way up, lowest first; nil for a leaf that is not there.
    package func path(of index: Int) -> [Hash]? {
        guard rows[0].indices.contains(index) else { return nil }
        var path: [Hash] = []
        var index = index
        for row in rows.dropLast() {
            let neighbour = index ^ 1
            if neighbour < row.count { path.append(row[neighbour]) }
            index /= 2
        }
        return path
    }

    /// The root to which a leaf and its path lead; nil if the path is not one of a tree of this size.
    package static func root(leaf: Hash, at index: Int, of count: Int, path: [Hash]) -> Hash? {
        guard index >= 0, index < count else { return nil }
        var (hash, index, count, path) = (leaf, index, count, path[...])
        while count > 1 {
            if index ^ 1 < count {
                guard let neighbour = path.popFirst() else { return nil }
                hash = index % 2 == 0 ? node(hash, neighbour) : node(neighbour, hash)
            }
            index /= 2
            count = (count + 1) / 2
        }
        return path.isEmpty ? hash : nil
    }

    package static func leaf(_ data: some Sequence<UInt8>) -> Hash {
        Array(SHA256.hash(data: [0x00] + Array(data)))
    }

    private static func node(_ left: Hash, _ right: Hash) -> Hash {
        Array(SHA256.hash(data: [0x01] + left + right))
    }
}
