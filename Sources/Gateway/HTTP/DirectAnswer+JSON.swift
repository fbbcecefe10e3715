import EngineIOServer
import Foundation
import HTTPTypes
import HoldfastCore
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

extension DirectAnswer {
    /// The same fields as the long way's, but those for other origins, which never come here.
    static func json(_ body: ByteBuffer) -> DirectAnswer {
        DirectAnswer(status: .ok, fields: jsonFields, body: body)
    }

    /// What a person is told of an error, as ``Problem/response()`` says it.
    init(describing error: any Error, logger: Logger) {
        let problem = Problem(describing: error, logger: logger)
        self.init(problem, body: problem.json())
    }

    init(_ problem: Problem, body: ByteBuffer) {
        var fields = Self.problemFields
        if let seconds = problem.retryAfterSeconds { fields.append(("Retry-After", "\(seconds)")) }
        if problem.code.status == 401 { fields.append(("WWW-Authenticate", "Bearer")) }
        self.init(status: .init(statusCode: problem.code.status), fields: fields, body: body)
    }

    private static let jsonFields = fields("application/json; charset=utf-8")
    private static let problemFields = fields("application/problem+json")

    private static func fields(_ contentType: String) -> [(name: String, value: String)] {
        [("Content-Type", contentType), ("Cache-Control", "no-store")]
            + SecurityHeadersMiddleware.fields.map { ($0.canonicalName, $1) }
    }
}

/// JSON that is written so often that `JSONEncoder` would be most of the work.
extension ByteBuffer {
    mutating func writeJSON(_ text: String) {
        writeInteger(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                writeInteger(UInt8(ascii: "\\"))
                writeInteger(byte)
            case 0..<0x20:
                writeString("\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16))
            default: writeInteger(byte)
            }
        }
        writeInteger(UInt8(ascii: "\""))
    }

    mutating func writeJSON(_ list: [String]) {
        writeInteger(UInt8(ascii: "["))
        for (position, text) in list.enumerated() {
            if position > 0 { writeInteger(UInt8(ascii: ",")) }
            writeJSON(text)
        }
        writeInteger(UInt8(ascii: "]"))
    }
}
