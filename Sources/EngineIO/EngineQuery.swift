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
    package init(target: String) {
        guard let mark = target.utf8.firstIndex(of: 0x3F) else { return }
        // Bytes instead of text: this is on the way of every connection and every poll.
        var seen: (transport: Bool, sid: Bool, version: Bool, script: Bool) = (false, false, false, false)
        for item in target.utf8[target.utf8.index(after: mark)...].split(separator: 0x26) {
            let nameEnd = item.firstIndex(of: 0x3D) ?? item.endIndex
            let name = item[..<nameEnd]
            if name.elementsEqual("transport".utf8) {
                if !seen.transport { self.set("transport", Self.value(item, nameEnd)) }
                seen.transport = true
            } else if name.elementsEqual("sid".utf8) {
                if !seen.sid { self.set("sid", Self.value(item, nameEnd)) }
                seen.sid = true
            } else if name.elementsEqual("EIO".utf8) {
                if !seen.version { self.set("EIO", Self.value(item, nameEnd)) }
                seen.version = true
            } else if name.elementsEqual("j".utf8) {
                if !seen.script { self.set("j", Self.value(item, nameEnd)) }
                seen.script = true
            }
        }
    }

    private static func value(_ item: Substring.UTF8View, _ nameEnd: String.Index) -> String {
        nameEnd == item.endIndex ? "" : percentDecoded(Substring(item[item.index(after: nameEnd)...]))
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
