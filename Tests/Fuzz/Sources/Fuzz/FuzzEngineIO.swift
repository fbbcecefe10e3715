import EngineIO
import Foundation
import NIOCore

@testable import EngineIOServer

private struct Outcome: Equatable {
    var events: [WebSocketEvent] = []
    var failure: WebSocketFailure?
}

private let maxMessageBytes = 4096

private func decode(_ pieces: [ArraySlice<UInt8>], inflater: Inflater?) -> Outcome {
    var decoder = WebSocketDecoder(maxMessageBytes: maxMessageBytes, inflater: inflater)
    var outcome = Outcome()
    for piece in pieces {
        decoder.append(ByteBuffer(bytes: piece))
        do {
            try decoder.decode { event in
                outcome.events.append(event)
                return true
            }
        } catch {
            precondition(outcome.failure == nil, "a decoder fails once")
            outcome.failure = error
        }
    }
    return outcome
}

/// The first byte says whether compression was negotiated and seeds the cuts; the rest is what a client sent.
///
/// - Holds: the events and the failure are the same however the bytes are cut; messages keep the bound; text is UTF-8.
@Sendable func fuzzWebSocket(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let input = Array(bytes.dropFirst())
    let inflater = first & 1 == 1 ? Inflater() : nil
    var cuts = Cuts(seed: first)
    let whole = decode([input[...]], inflater: inflater)
    let parts = decode(cuts.pieces(of: input[...]), inflater: inflater)
    precondition(whole == parts, "the cuts change what is decoded")
    for event in whole.events {
        switch event {
        case .text(let bytes):
            precondition(bytes.readableBytes <= maxMessageBytes)
            precondition(String(validating: bytes.readableBytesView, as: UTF8.self) != nil, "text is not UTF-8")
        case .binary(let bytes): precondition(bytes.readableBytes <= maxMessageBytes)
        case .ping(let bytes): precondition(bytes.readableBytes <= 125)
        case .pong: break
        case .close(let code): precondition(code.map { (1000...4999).contains($0) } ?? true)
        }
    }
    if let code = whole.failure?.code { precondition([1002, 1007, 1009].contains(code)) }
}

/// - Holds: packets that were accepted are accepted again after we have written them; base64 comes back as it was.
@Sendable func fuzzPayload(_ bytes: UnsafeRawBufferPointer) {
    let body = ByteBuffer(bytes: bytes)
    var encoded = ByteBuffer()
    Base64.encode(body, into: &encoded)
    guard let decoded = try? Base64.decode(encoded), decoded == body else { preconditionFailure("base64 differs") }
    precondition(encoded == ByteBuffer(string: Data(bytes).base64EncodedString()), "base64 is not Foundation's")

    guard let packets = try? EnginePayload.decode(body, maxPackets: 100) else { return }
    precondition((1...100).contains(packets.count))
    var again = ByteBuffer()
    for packet in packets {
        switch packet {
        case .text(let data): EnginePayload.append(EngineMessage(text: data), to: &again)
        case .binary(let data): EnginePayload.append(EngineMessage(binary: data), to: &again)
        case .open(let data): EnginePayload.append(EngineMessage(.open, data: data.readableBytesView), to: &again)
        case .ping(let data): EnginePayload.append(EngineMessage(.ping, data: data.readableBytesView), to: &again)
        case .pong(let data): EnginePayload.append(EngineMessage(.pong, data: data.readableBytesView), to: &again)
        case .close: EnginePayload.append(EngineMessage(.close), to: &again)
        case .upgrade: EnginePayload.append(EngineMessage(.upgrade), to: &again)
        case .noop: EnginePayload.append(EngineMessage(.noop), to: &again)
        }
    }
    precondition((try? EnginePayload.decode(again, maxPackets: 100)) == packets, "packets differ when written again")
}

/// - Holds: an accepted head has a target that can be put into a log line, and everything in it can be read.
@Sendable func fuzzRequest(_ bytes: UnsafeRawBufferPointer) {
    let head = Array(bytes)
    // The list of extensions comes from the same peer.
    if let agreement = PerMessageDeflate.agree(on: String(decoding: head, as: UTF8.self)) {
        precondition(agreement.field.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    }
    guard let parsed = try? UpgradeRequestHead(head) else { return }
    precondition(parsed.target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    let request = EngineRequest(head: head, remoteAddress: nil, receivedAt: .uptimeNanoseconds(0), isSecure: false)
    precondition(request.target == parsed.target, "two readers of one request see different targets")
    precondition((request.header("host") != nil) == parsed.hasHost)
    for field in request.headers.prefix(8) { precondition(request.header(field.name) != nil) }
    // Each look-up reads the target again.
    for item in request.queryItems.prefix(8) { precondition(request.query(item.name) != nil) }
    _ = request.path
}
