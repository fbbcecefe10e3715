import NIOCore

/// One conversation of the Autobahn test suite, in its numbers.
///
/// The suite itself needs Python 2; these are its cases in our words. The server is an echoing Engine.IO endpoint, so
/// every text that is to come back begins with `4`, and an empty one is `4` alone.
struct AutobahnCase: Sendable {
    let id: String
    /// What the client sends, frame by frame.
    let frames: [[UInt8]]
    /// What comes back, in order.
    let answers: [RawClient.Frame]
    /// The server's close code; `nil` if the connection goes on until the client closes it.
    let closeCode: Int?

    init(_ id: String, _ frames: [[UInt8]], _ answers: [RawClient.Frame] = [], closes closeCode: Int? = nil) {
        self.id = id
        self.frames = frames
        self.answers = answers
        self.closeCode = closeCode
    }

    var bytes: [UInt8] { self.frames.flatMap { $0 } }

    // MARK: Frames

    static let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    /// A client's frame with any first byte and any payload.
    static func frame(_ first: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        var out = [first]
        switch payload.count {
        case ..<126:
            out.append(0x80 | UInt8(payload.count))
        case ...0xFFFF:
            out += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            out.append(0xFF)
            out += (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> ((7 - $0) * 8)) }
        }
        out += Self.key
        out.reserveCapacity(out.count + payload.count)
        for (index, byte) in payload.enumerated() { out.append(byte ^ Self.key[index & 3]) }
        return out
    }

    static func text(_ text: String) -> [UInt8] { Self.frame(0x81, Array("4\(text)".utf8)) }
    static func begin(_ text: String) -> [UInt8] { Self.frame(0x01, Array("4\(text)".utf8)) }
    static func more(_ text: String) -> [UInt8] { Self.frame(0x00, Array(text.utf8)) }
    static func end(_ text: String) -> [UInt8] { Self.frame(0x80, Array(text.utf8)) }
    static func ping(_ payload: [UInt8] = []) -> [UInt8] { Self.frame(0x89, payload) }
    static func ping(_ text: String) -> [UInt8] { Self.ping(Array(text.utf8)) }

    static func close(_ code: Int, _ reason: [UInt8] = []) -> [UInt8] {
        Self.frame(0x88, [UInt8(code >> 8), UInt8(code & 0xFF)] + reason)
    }

    static func echo(_ text: String) -> RawClient.Frame { .text("4\(text)") }
    static func pong(_ payload: [UInt8] = []) -> RawClient.Frame { .other(0x8A, payload) }
    static func pong(_ text: String) -> RawClient.Frame { Self.pong(Array(text.utf8)) }
}
