import EngineIO
import NIOCore

/// The head of a request that asks for a WebSocket, read strictly.
///
/// Only handshakes go through this parser; every other request is NIO's. So whatever is unusual is refused here.
///
/// - Source: RFC 9112, sections 2 to 5; RFC 6455, section 4.2.1.
struct UpgradeRequestHead {
    static let maxBytes = 16 * 1024
    static let maxFields = 100

    enum Failure: Error, Equatable {
        case malformed
        case tooManyFields
    }

    private(set) var target = ""
    private(set) var hasHost = false
    private(set) var hasBody = false
    private(set) var asksForWebSocket = false
    private(set) var connectionUpgrades = false
    private(set) var version: String?
    private(set) var key: String?

    /// - Parameter head: request line and header fields, without the blank line and its CR LF.
    init(_ head: [UInt8]) throws(Failure) {
        var lines = head[...]
        guard let requestLine = Self.nextLine(&lines) else { throw .malformed }
        let parts = requestLine.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].elementsEqual("GET".utf8), parts[2].elementsEqual("HTTP/1.1".utf8),
            parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw .malformed }
        self.target = String(decoding: parts[1], as: UTF8.self)
        var count = 0
        while let line = Self.nextLine(&lines) {
            count += 1
            guard count <= Self.maxFields else { throw .tooManyFields }
            try self.readField(line)
        }
        guard lines.isEmpty, self.hasHost else { throw .malformed }
    }

    /// The next line without its CR LF; `nil` at the end. A bare CR or LF stays in the line and fails there.
    private static func nextLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard !rest.isEmpty else { return nil }
        var index = rest.startIndex
        while index + 1 < rest.endIndex {
            if rest[index] == 0x0D, rest[index + 1] == 0x0A {
                let line = rest[rest.startIndex..<index]
                rest = rest[(index + 2)...]
                return line
            }
            index += 1
        }
        defer { rest = rest[rest.endIndex...] }
        return rest
    }

    private mutating func readField(_ line: ArraySlice<UInt8>) throws(Failure) {
        guard let colon = line.firstIndex(of: 0x3A), colon > line.startIndex,
            line[..<colon].allSatisfy(Self.isTokenCharacter),
            line[(colon + 1)...].allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) })
        else { throw .malformed }
        let name = line[..<colon]
        // Only fields of interest become strings; their names differ in length, so the length decides quickly.
        switch name.count {
        case 4 where Self.matches(name, "host"):
            guard !self.hasHost else { throw .malformed }
            self.hasHost = true
        case 7 where Self.matches(name, "upgrade"):
            self.asksForWebSocket = self.asksForWebSocket || Self.tokens(line[(colon + 1)...]).contains("websocket")
        case 10 where Self.matches(name, "connection"):
            self.connectionUpgrades =
                self.connectionUpgrades || Self.tokens(line[(colon + 1)...]).contains("upgrade")
        case 17 where Self.matches(name, "transfer-encoding"):
            self.hasBody = true
        case 14 where Self.matches(name, "content-length"):
            self.hasBody = self.hasBody || Self.text(line[(colon + 1)...]) != "0"
        case 17 where Self.matches(name, "sec-websocket-key"):
            guard self.key == nil else { throw .malformed }
            self.key = Self.text(line[(colon + 1)...])
        case 21 where Self.matches(name, "sec-websocket-version"):
            guard self.version == nil else { throw .malformed }
            self.version = Self.text(line[(colon + 1)...])
        default:
            break
        }
    }

    private static func matches(_ name: ArraySlice<UInt8>, _ lowercase: StaticString) -> Bool {
        var index = 0
        for byte in name {
            let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            if folded != lowercase.utf8Start[index] { return false }
            index += 1
        }
        return true
    }

    private static func text(_ value: ArraySlice<UInt8>) -> String {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let start = value.drop(while: isBlank)
        guard let last = start.lastIndex(where: { !isBlank($0) }) else { return "" }
        return String(decoding: start[...last], as: UTF8.self)
    }

    private static func tokens(_ value: ArraySlice<UInt8>) -> [String] {
        value.split(separator: 0x2C).map { Self.text($0).lowercased() }
    }

    private static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
