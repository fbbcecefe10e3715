import Foundation
import HTTPTypes
import HoldfastCore
import Hummingbird
import NIOCore
import NIOFoundationCompat
import SocketIO

extension Response {
    /// - Precondition: `body` encodes; every type that is passed here is one of ours and does.
    static func json(_ body: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        .json(bytes: encoded(body), status: status)
    }

    static func encoded(_ body: some Encodable) -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let bytes = try? encoder.encode(body) else {
            preconditionFailure("\(type(of: body)) does not encode")
        }
        return ByteBuffer(bytes: bytes)
    }

    static func json(bytes: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8", .cacheControl: "no-store"],
            body: .init(byteBuffer: bytes)
        )
    }
}

extension Request {
    /// The largest body any JSON route takes: a selection of 500 seats with long names fits four times.
    static let maxBody = 256 * 1024
    /// Enough for the largest body over the slowest line, and short enough for a drain.
    static let bodyDeadline = Duration.seconds(15)

    /// Reads and decodes a JSON body.
    ///
    /// - Throws: ``Problem`` 415 for another media type or an encoded body, 413 over ``maxBody``, 400 for what is not
    ///   JSON, 422 naming the field for JSON of another shape.
    func json<Body: Decodable>(_ type: Body.Type = Body.self) async throws -> Body {
        try Self.requireJSON(headers)
        let buffer = try await wholeBody(upTo: Self.maxBody)
        return try Self.decode(type, from: buffer)
    }

    /// As ``json(_:)``, but an absent body decodes like `{}`.
    func jsonIfAny<Body: Decodable>(_ type: Body.Type = Body.self) async throws -> Body {
        let buffer = try await wholeBody(upTo: Self.maxBody)
        guard buffer.readableBytes > 0 else { return try Self.decode(type, from: ByteBuffer(string: "{}")) }
        try Self.requireJSON(headers)
        return try Self.decode(type, from: buffer)
    }

    /// Reads the body, which somebody may send a byte a minute to hold our attention.
    ///
    /// - Throws: ``Problem`` 408 when it is not there within ``bodyDeadline``; the connection is then of no more use.
    func wholeBody(upTo maxBytes: Int) async throws -> ByteBuffer {
        let body = try await within(Self.bodyDeadline) {
            var request = self
            do {
                return try await request.collectBody(upTo: maxBytes)
            } catch is NIOTooManyBytesError {
                throw Problem(
                    .payloadTooLarge,
                    "The body is larger than the \(maxBytes) bytes that this route takes.",
                    limit: maxBytes
                )
            }
        }
        guard let body else {
            let most = Int(Self.bodyDeadline.components.seconds)
            throw Problem(.requestTimeout, "The body took over \(most) seconds to arrive.", limit: most)
        }
        return body
    }

    private static func requireJSON(_ headers: HTTPFields) throws(Problem) {
        if headers[.contentEncoding] != nil {
            throw Problem(.unsupportedMediaType, "Send the body without Content-Encoding.")
        }
        let mediaType = headers[.contentType]?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces)
        guard mediaType?.lowercased() == "application/json" else {
            throw Problem(.unsupportedMediaType, "Send the body with Content-Type: application/json.")
        }
    }

    /// By the same rules as what comes over a socket: strict UTF-8, nesting up to 16, no key twice.
    private static func decode<Body: Decodable>(_ type: Body.Type, from buffer: ByteBuffer) throws(Problem) -> Body {
        do {
            return try RawJSON(validating: buffer).decode(type)
        } catch let error as JSONSyntaxError {
            throw Problem(.malformedRequest, "The body is not valid JSON: \(error.message).")
        } catch {
            throw Problem(decoding: error)
        }
    }
}

extension Problem {
    /// Says which field of a JSON value is wrong, in words for a person.
    ///
    /// A number that no field could hold is reported by the decoder like broken syntax, which was looked at before.
    init(decoding error: any Error) {
        func name(_ path: [any CodingKey], _ key: (any CodingKey)? = nil) -> String {
            let names = (path + (key.map { [$0] } ?? [])).map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
            return names.isEmpty ? "body" : names.joined(separator: ".")
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            self = .invalid(.init(name(context.codingPath, key), "is missing"))
        case DecodingError.typeMismatch(_, let context):
            self = .invalid(.init(name(context.codingPath), "has the wrong type"))
        case DecodingError.valueNotFound(_, let context):
            self = .invalid(.init(name(context.codingPath), "may not be null"))
        case DecodingError.dataCorrupted(let context) where !context.codingPath.isEmpty:
            self = .invalid(.init(name(context.codingPath), "is not valid"))
        default:
            self = .invalid(.init("body", "has a number or text that cannot be used"))
        }
    }
}
