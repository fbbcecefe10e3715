import Simulator
import Testing

@Suite struct HistogramTests {
    @Test("Percentiles are right to three parts in a hundred, over nine orders of magnitude")
    func percentiles() {
        for scale in [1, 1_000, 1_000_000] as [Int64] {
            var times = Histogram()
            for number in 1...1_000 as ClosedRange<Int64> { times.record(.microseconds(number * scale)) }
            for share in [0.5, 0.9, 0.99, 0.999] {
                let exact = 1_000 * share * Double(scale) / 1e6
                let told = times.percentile(share).inSeconds
                #expect(told >= exact * 0.999 && told <= exact * 1.035, "\(share) of \(scale)")
            }
            #expect(times.percentile(1) == times.longest && times.count == 1_000)
        }
    }

    @Test("Nothing, negative times and very long ones are told as they are")
    func edges() {
        var times = Histogram()
        #expect(times.percentile(0.5) == .zero)
        times.record(.seconds(-1))
        times.record(.seconds(1_000_000))
        #expect(times.percentile(0.5) == .zero && times.longest == .seconds(1_000_000))
    }

    @Test("Two loops' histograms together say what one would have")
    func merged() {
        var (one, two, both) = (Histogram(), Histogram(), Histogram())
        for number in 1...500 as ClosedRange<Int64> {
            one.record(.milliseconds(number))
            two.record(.milliseconds(number + 500))
            both.record(.milliseconds(number))
            both.record(.milliseconds(number + 500))
        }
        one.merge(two)
        #expect(one.percentile(0.9) == both.percentile(0.9) && one.count == both.count)
    }
}
