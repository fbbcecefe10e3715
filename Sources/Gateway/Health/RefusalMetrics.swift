import HoldfastCore
import Metrics

/// Counts what is refused, by code: the codes are a closed set.
struct RefusalMetrics: Sendable {
    static let shared = RefusalMetrics()

    private let counters = Dictionary(
        uniqueKeysWithValues: ProblemCode.allCases.map {
            ($0, Counter(label: "holdfast_refusals_total", dimensions: [("code", $0.rawValue)]))
        }
    )

    func refused(_ code: ProblemCode) { counters[code]?.increment() }
}
