/// The text format of Prometheus.
///
/// - Source: prometheus.io, "Exposition formats", text-based format 0.0.4.
package enum PrometheusText {
    package static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    /// `[a-zA-Z_][a-zA-Z0-9_]*`; every other character becomes an underscore.
    static func name(_ label: String) -> String {
        var name = String(String.UnicodeScalarView(label.unicodeScalars.map { isNameCharacter($0) ? $0 : "_" }))
        if name.first?.isNumber ?? true { name = "_" + name }
        return name
    }

    private static func isNameCharacter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }

    /// `name="value",…`, sorted, so that the order in which dimensions are named does not matter.
    static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.sorted { $0.0 < $1.0 }.map { "\(name($0.0))=\"\(escape($0.1))\"" }.joined(separator: ",")
    }

    private static func escape(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    static func append(_ family: PrometheusRegistry.Family, named name: String, help: String?, to text: inout String) {
        if let help { text += "# HELP \(name) \(help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))\n" }
        text += "# TYPE \(name) \(family.kind.rawValue)\n"
        for (labels, cell) in family.series.sorted(by: { $0.key < $1.key }) {
            switch cell {
            case .counter(let counter): sample(name, labels, "\(counter.value)", to: &text)
            case .floatingPointCounter(let counter): sample(name, labels, number(counter.value), to: &text)
            case .gauge(let gauge): sample(name, labels, number(gauge.value), to: &text)
            case .histogram(let histogram): append(histogram, name, labels, to: &text)
            }
        }
    }

    private static func append(_ histogram: HistogramCell, _ name: String, _ labels: String, to text: inout String) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var count: Int64 = 0
        for (bound, inBucket) in zip(histogram.bounds.map(number) + ["+Inf"], histogram.counts) {
            count += inBucket
            sample("\(name)_bucket", "\(prefix)le=\"\(bound)\"", "\(count)", to: &text)
        }
        sample("\(name)_sum", labels, number(histogram.sum), to: &text)
        sample("\(name)_count", labels, "\(count)", to: &text)
    }

    private static func sample(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Whole numbers as they are read.
        return value == value.rounded() && value.magnitude < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}
