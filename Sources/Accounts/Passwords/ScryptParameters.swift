/// How much work one password costs.
///
/// - Bounds: `logN` 10 to 20, `r` 1 to 32, `p` 1 to 16. Memory is `128 × 2^logN × r` bytes: 128 MiB by default.
/// - Source: RFC 7914, section 2.
package struct ScryptParameters: Sendable, Equatable {
    package let logN: Int
    package let r: Int
    package let p: Int

    /// What the service uses; everything cheaper is for tests.
    package static let standard = ScryptParameters(logN: 17, r: 8, p: 1)

    private init(logN: Int, r: Int, p: Int) {
        self.logN = logN
        self.r = r
        self.p = p
    }

    /// Answers nil outside the bounds, so that a stored hash cannot ask for all memory there is.
    package init?(checking logN: Int, r: Int, p: Int) {
        guard (10...20).contains(logN), (1...32).contains(r), (1...16).contains(p), (128 << logN) * r <= 1 << 30
        else { return nil }
        self.init(logN: logN, r: r, p: p)
    }

    /// Least work that the bounds allow: 1 MiB and some milliseconds.
    package static let cheapForTests = ScryptParameters(logN: 10, r: 8, p: 1)

    var memoryBytes: Int { (128 << logN) * r }
}
