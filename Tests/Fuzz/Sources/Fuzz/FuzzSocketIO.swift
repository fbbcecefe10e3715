import EngineIO
import Foundation
import NIOCore

@testable import SocketIO

/// - Holds: the arguments of an accepted event make an event that is accepted, with the same arguments.
@Sendable func fuzzPacket(_ bytes: UnsafeRawBufferPointer) {
    // The transport has checked it.
    guard UTF8Check.isValid(bytes) else { return }
    let text = ByteBuffer(bytes: bytes)
    guard let packet = try? SocketPacket(text) else { return }
    precondition(packet.attachmentCount <= SocketPacket.maxAttachments)
    guard packet.type == .event || packet.type == .binaryEvent else { return }
    let arguments = packet.elements.dropFirst().map { RawJSON(trusted: packet.slice($0)) }
    guard !packet.namespace.contains("?"), packet.namespace.hasPrefix("/") else { return }
    let written = EncodedPacket.event(packet.namespace, packet.name, arguments, id: packet.id)
    var again = written.text.payload
    again.moveReaderIndex(forwardBy: 1)
    guard let second = try? SocketPacket(again) else { preconditionFailure("what we write is not accepted") }
    precondition(second.name == packet.name && second.namespace == packet.namespace && second.id == packet.id)
    precondition(second.elements.dropFirst().map { second.slice($0) } == arguments.map(\.bytes), "arguments differ")
}

/// - Holds: accepted text stays JSON when it is spliced into an array and an object, and Foundation's reader agrees on
///   what is JSON wherever both mean the same by it.
@Sendable func fuzzJSON(_ bytes: UnsafeRawBufferPointer) {
    let text = ByteBuffer(bytes: bytes)
    let isAccepted = (try? RawJSON(validating: text)) != nil
    // Splicing makes it one deeper; nothing without that many brackets can be too deep.
    let brackets = bytes.count { $0 == 0x5B || $0 == 0x7B }
    guard brackets < 16 else { return }
    for (before, after) in [("[", "]"), (#"{"a":"#, "}"), (#"[1,{"b":["#, "]}]")] where isAccepted && brackets < 14 {
        var spliced = ByteBuffer(string: before)
        spliced.writeImmutableBuffer(text)
        spliced.writeString(after)
        precondition((try? RawJSON(validating: spliced)) != nil, "accepted text does not survive splicing")
    }
    // Foundation also reads UTF-16 and UTF-32, which it tells by zero bytes and marks; it refuses numbers that no
    // Double holds and halves of surrogate pairs, which the grammar allows.
    let hasMark =
        bytes.starts(with: [0xEF, 0xBB, 0xBF]) || bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE])
    let hasExponent = bytes.contains(0x65) || bytes.contains(0x45)
    let hasEscape = String(decoding: bytes, as: UTF8.self).contains("\\u")
    let digits = bytes.count { $0 >= 0x30 && $0 <= 0x39 }
    guard !bytes.contains(0), !hasMark, !hasExponent, !hasEscape, digits < 16 else { return }
    let isFoundations = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
    precondition(isAccepted == isFoundations, "Foundation disagrees: \(isFoundations)")
}

/// - Holds: a message that was read is the same after it was written and read again.
@Sendable func fuzzCluster(_ bytes: UnsafeRawBufferPointer) {
    guard let message = ClusterMessage(decoding: ByteBuffer(bytes: bytes)) else { return }
    // Text that was not UTF-8 was mended when it was read, and may be longer now than a length can say.
    let longest = ([message.node, message.namespace] + message.rooms + message.except).map(\.utf8.count).max() ?? 0
    guard longest <= Int(UInt16.max) else { return }
    guard let again = ClusterMessage(decoding: message.encode()) else { preconditionFailure("our own is not accepted") }
    precondition(again == message, "a message differs when it is written again")
}
