import Foundation
import Gateway
import Logging

/// Logs go to standard error, one line each, as text or as JSON.
enum LogSetup {
    static func logger(_ settings: Settings) -> Logger {
        let level = settings.logLevel
        let format = settings.logFormat
        LoggingSystem.bootstrap { label in
            var handler: any LogHandler =
                switch format {
                case .text: StreamLogHandler.standardError(label: label)
                case .json: JSONLogHandler(label: label)
                }
            handler.logLevel = level
            return handler
        }
        var logger = Logger(label: "holdfast")
        logger[metadataKey: "instance"] = "\(settings.instance)"
        return logger
    }
}

/// One JSON object a line. `JSONEncoder` escapes line breaks, so a value cannot forge a line of its own.
private struct JSONLogHandler: LogHandler {
    let label: String
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    private struct Line: Encodable {
        let time: String
        let level: String
        let label: String
        let message: String
        let metadata: [String: String]
    }

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var merged = metadata.mapValues { "\($0)" }
        for (key, value) in event.metadata ?? [:] { merged[key] = "\(value)" }
        let line = Line(
            time: Date.now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            level: event.level.rawValue,
            label: label,
            message: "\(event.message)",
            metadata: merged
        )
        guard var bytes = try? JSONEncoder().encode(line) else { return }
        bytes.append(UInt8(ascii: "\n"))
        try? FileHandle.standardError.write(contentsOf: bytes)
    }
}
