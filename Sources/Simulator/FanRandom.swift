import Foundation

/// Chance that is the same for the same seed, in eight bytes, so that each fan has their own.
///
/// - Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (SplitMix64).
package struct FanRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    /// The stream of one of many under the same seed.
    package init(seed: UInt64, stream: Int) {
        var mixer = FanRandom(seed: seed ^ (UInt64(truncatingIfNeeded: stream) &* 0xD134_2543_DE82_EF95))
        self.state = mixer.next()
    }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// At least 0, below 1.
    package mutating func fraction() -> Double { Double(self.next() >> 11) / 9_007_199_254_740_992 }

    package mutating func chance(_ probability: Double) -> Bool { self.fraction() < probability }

    package mutating func between(_ low: Duration, _ high: Duration) -> Duration {
        low + .seconds(fraction: (high - low).inSeconds * self.fraction())
    }

    /// Log-normal, as the times are that people take: most near the median, a few very long.
    ///
    /// - Bounds: at most eight times the median.
    package mutating func thinking(median: Duration, sigma: Double = 0.6) -> Duration {
        let (one, two) = (max(self.fraction(), 1e-12), self.fraction())
        let normal = (-2 * log(one)).squareRoot() * cos(2 * .pi * two)
        return .seconds(fraction: median.inSeconds * min(exp(sigma * normal), 8))
    }
}

extension Duration {
    package var inSeconds: Double {
        Double(self.components.seconds) + Double(self.components.attoseconds) / 1e18
    }
}
