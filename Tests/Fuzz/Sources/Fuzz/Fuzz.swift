import CFuzzer
import Foundation

/// Runs one decoder under libFuzzer.
///
/// `FUZZ_TARGET` names the decoder; the arguments are libFuzzer's. It is a variable and no argument, because libFuzzer
/// starts itself again with its own arguments when it merges a corpus or shrinks a finding.
@main
enum Fuzz {
    static func main() {
        guard let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"], FuzzTarget.all[name] != nil else {
            let names = FuzzTarget.all.keys.sorted().joined(separator: " ")
            FileHandle.standardError.write(Data("FUZZ_TARGET is one of: \(names)\n".utf8))
            exit(64)
        }
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        withUnsafeMutablePointer(to: &arguments) { pointer in
            pointer.withMemoryRebound(to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?.self, capacity: 1) {
                _ = LLVMFuzzerRunDriver(&count, $0) { bytes, count in
                    FuzzTarget.current(UnsafeRawBufferPointer(start: bytes, count: count))
                    return 0
                }
            }
        }
    }
}

/// A decoder and what must hold for it whatever it is given. A broken promise stops the process, which is a finding.
enum FuzzTarget {
    typealias Body = @Sendable (UnsafeRawBufferPointer) -> Void

    static let all: [String: Body] = [
        "websocket": fuzzWebSocket,
        "payload": fuzzPayload,
        "packet": fuzzPacket,
        "json": fuzzJSON,
        "request": fuzzRequest,
        "cluster": fuzzCluster,
        "resp": fuzzRESP,
    ]

    /// The one that was asked for; main has checked that it is there.
    static let current: Body = all[ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""] ?? { _ in }
}

/// Lengths for cutting an input into pieces, from a seed that is part of the input.
struct Cuts {
    private var state: UInt32

    init(seed: UInt8) { self.state = UInt32(seed) &+ 1 }

    /// 1 to 16, mostly small.
    mutating func next() -> Int {
        self.state = self.state &* 1_664_525 &+ 1_013_904_223
        return Int(self.state >> 28) + 1
    }

    mutating func pieces(of bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var rest = bytes
        var pieces: [ArraySlice<UInt8>] = []
        while !rest.isEmpty {
            let piece = rest.prefix(self.next())
            pieces.append(piece)
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }
}
