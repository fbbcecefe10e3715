/// What a request's query says to an Engine.IO endpoint; other parameters are the application's.
package struct EngineQuery: Sendable, Equatable {
    package enum Transport: String, Sendable { case polling, websocket }

    /// `nil` for one that is missing or that we do not serve.
    package private(set) var transport: Transport?
    /// `nil` if it is missing or empty.
    package private(set) var sid: String?
    /// Whether `EIO` is 4.
    package private(set) var isProtocol4 = false
    /// Whether the client wants its answers as a script (`j`), which we do not serve.
    package private(set) var isScript = false

    /// - Parameter target: path and query. The first value of a parameter counts.
    package init(target: some StringProtocol) {
        guard let mark = target.utf8.firstIndex(of: 0x3F) else { return }
        var seen: Set<String> = []
        for item in target[target.index(after: mark)...].split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(pair[0])
            switch name {
            case "transport", "sid", "EIO", "j":
                guard seen.insert(name).inserted else { continue }
                self.set(name, pair.count == 2 ? percentDecoded(Substring(pair[1])) : "")
            default:
                continue
            }
        }
    }

    private mutating func set(_ name: String, _ value: String) {
        switch name {
        case "transport": self.transport = Transport(rawValue: value)
        case "sid": self.sid = value.isEmpty ? nil : value
        case "EIO": self.isProtocol4 = value == "4"
        default: self.isScript = true
        }
    }
}
