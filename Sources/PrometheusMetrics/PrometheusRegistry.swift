package import CoreMetrics
import Synchronization

/// Keeps what swift-metrics is told, for Prometheus to read.
///
/// Making a metric takes a lock and happens once; counting and measuring afterwards are atomic instructions, without a
/// lock and without memory. The same label with the same dimensions is the same metric, whoever makes it.
///
/// - Bounds: 1,000 names, 256 combinations of dimensions each. What comes after that is measured by nobody and counted in
///   `metrics_series_dropped_total`, as is a name that is used for two kinds of metric.
package final class PrometheusRegistry: MetricsFactory, Sendable {
    static let maxFamilies = 1_000
    static let maxSeries = 256

    enum Kind: String { case counter, gauge, histogram }

    enum Cell {
        case counter(CounterCell)
        case floatingPointCounter(FloatingPointCounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)
    }

    struct Family {
        let kind: Kind
        /// Rendered dimensions, as in `outcome="ok"`, to what is measured.
        var series: [String: Cell] = [:]
    }

    private let families = Mutex<[String: Family]>([:])
    private let dropped = CounterCell()
    private let help: [String: String]

    /// - Parameter help: a sentence for each name that has one.
    package init(help: [String: String] = [:]) {
        self.help = help
    }

    // MARK: Making

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let cell = cell(label, dimensions, .counter) { .counter(CounterCell()) }
        if case .counter(let counter) = cell { return counter }
        return CounterCell()
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        let cell = cell(label, dimensions, .counter) { .floatingPointCounter(FloatingPointCounterCell()) }
        if case .floatingPointCounter(let counter) = cell { return counter }
        return FloatingPointCounterCell()
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return gauge(label, dimensions) }
        return histogram(label, dimensions, label.hasSuffix("_seconds") ? HistogramCell.seconds : HistogramCell.sizes)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions, HistogramCell.seconds)
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeCell {
        if case .gauge(let gauge) = cell(label, dimensions, .gauge, { .gauge(GaugeCell()) }) { return gauge }
        return GaugeCell()
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)], _ bounds: [Double]) -> HistogramCell {
        let cell = cell(label, dimensions, .histogram) { .histogram(HistogramCell(bounds: bounds)) }
        if case .histogram(let histogram) = cell { return histogram }
        return HistogramCell(bounds: bounds)
    }

    /// Nil when it may not be kept; the caller then measures for nobody.
    private func cell(
        _ label: String,
        _ dimensions: [(String, String)],
        _ kind: Kind,
        _ make: () -> Cell
    ) -> Cell? {
        let name = PrometheusText.name(label)
        let labels = PrometheusText.labels(dimensions)
        let cell = families.withLock { families -> Cell? in
            var family = families[name] ?? Family(kind: kind)
            guard family.kind == kind, families[name] != nil || families.count < Self.maxFamilies else { return nil }
            if let known = family.series[labels] { return known }
            guard family.series.count < Self.maxSeries else { return nil }
            let cell = make()
            family.series[labels] = cell
            families[name] = family
            return cell
        }
        if cell == nil { dropped.increment(by: 1) }
        return cell
    }

    // Metrics are made once and live as long as the process.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    // MARK: Reading

    /// Everything, in the text format of Prometheus, version 0.0.4.
    package func text() -> String {
        var families = families.withLock { $0 }
        families["metrics_series_dropped_total"] = Family(kind: .counter, series: ["": .counter(dropped)])
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            PrometheusText.append(family, named: name, help: help[name], to: &text)
        }
        return text
    }
}
