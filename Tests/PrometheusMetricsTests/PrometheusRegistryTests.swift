import CoreMetrics
import Testing

@testable import PrometheusMetrics

@Suite struct PrometheusRegistryTests {
    @Test("Counters, gauges and histograms are written as Prometheus reads them")
    func text() {
        let registry = PrometheusRegistry(help: ["seats_total": "Seats,\nas they go."])
        registry.makeCounter(label: "seats_total", dimensions: [("outcome", "he said \"no\"\\\n")]).increment(by: 3)
        registry.makeRecorder(label: "pool.leases", dimensions: [], aggregate: false).record(7.5)
        let timer = registry.makeTimer(label: "query_seconds", dimensions: [("b", "2"), ("a", "1")])
        timer.recordNanoseconds(3_000_000)
        timer.recordNanoseconds(20_000_000_000)
        let lines = registry.text().split(separator: "\n").map(String.init)
        #expect(lines.contains("# HELP seats_total Seats,\\nas they go."))
        #expect(lines.contains("# TYPE seats_total counter"))
        #expect(lines.contains(#"seats_total{outcome="he said \"no\"\\\n"} 3"#))
        #expect(lines.contains("pool_leases 7.5"))
        #expect(lines.contains(#"query_seconds_bucket{a="1",b="2",le="0.0025"} 0"#))
        #expect(lines.contains(#"query_seconds_bucket{a="1",b="2",le="0.005"} 1"#))
        #expect(lines.contains(#"query_seconds_bucket{a="1",b="2",le="10"} 1"#))
        #expect(lines.contains(#"query_seconds_bucket{a="1",b="2",le="+Inf"} 2"#))
        #expect(lines.contains(#"query_seconds_sum{a="1",b="2"} 20.003"#))
        #expect(lines.contains(#"query_seconds_count{a="1",b="2"} 2"#))
    }

    @Test("The same name with the same dimensions is the same metric, in whatever order they are named")
    func sharing() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "x_total", dimensions: [("a", "1"), ("b", "2")]).increment(by: 1)
        registry.makeCounter(label: "x_total", dimensions: [("b", "2"), ("a", "1")]).increment(by: 1)
        #expect(registry.text().contains("x_total{a=\"1\",b=\"2\"} 2\n"))
    }

    @Test("Too many dimensions, and a name that changes its kind, are dropped and counted")
    func bounds() {
        let registry = PrometheusRegistry()
        for number in 0..<(PrometheusRegistry.maxSeries + 5) {
            registry.makeCounter(label: "x_total", dimensions: [("user", "\(number)")]).increment(by: 1)
        }
        registry.makeRecorder(label: "x_total", dimensions: [], aggregate: false).record(1.0)
        let text = registry.text()
        #expect(text.contains("metrics_series_dropped_total 6\n"))
        #expect(text.split(separator: "\n").count { $0.hasPrefix("x_total{") } == PrometheusRegistry.maxSeries)
    }

    @Test("Nothing that many threads count at once is lost")
    func concurrency() async {
        let registry = PrometheusRegistry()
        await withDiscardingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = registry.makeCounter(label: "x_total", dimensions: [])
                    let timer = registry.makeTimer(label: "y_seconds", dimensions: [])
                    let meter = registry.makeMeter(label: "z", dimensions: [])
                    for _ in 0..<1_000 {
                        counter.increment(by: 1)
                        timer.recordNanoseconds(1_000_000_000)
                        meter.increment(by: 2)
                        meter.decrement(by: 1)
                    }
                }
            }
        }
        let text = registry.text()
        #expect(text.contains("x_total 8000\n"))
        #expect(text.contains("y_seconds_sum 8000\n"))
        #expect(text.contains("y_seconds_count 8000\n"))
        #expect(text.contains("z 8000\n"))
    }
}
