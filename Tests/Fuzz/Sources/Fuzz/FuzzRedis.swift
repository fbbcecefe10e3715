import NIOCore

@testable import Redis

private struct Outcome: Equatable {
    var values: [RESPValue] = []
    var failed = false
}

private func read(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
    var reader = RESPReader(limits: .init(maxReplyBytes: 4096, maxElements: 64))
    var outcome = Outcome()
    do {
        for piece in pieces {
            try reader.feed(ByteBuffer(bytes: piece))
            while let value = try reader.next() { outcome.values.append(value) }
        }
    } catch {
        outcome.failed = true
    }
    return outcome
}

/// The first byte seeds the cuts; the rest is what Redis sent.
///
/// - Holds: replies are the same however the bytes are cut. Only the bound of a whole reply may be met earlier when
///   bytes come in pieces.
@Sendable func fuzzRESP(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first, bytes.count <= 4096 else { return }
    let input = Array(bytes.dropFirst())
    var cuts = Cuts(seed: first)
    let whole = read([input[...]])
    let parts = read(cuts.pieces(of: input[...]))
    precondition(whole == parts, "the cuts change what is read")
}
