/// Strict UTF-8, as text messages must be: no overlong forms, no surrogates, nothing above U+10FFFF.
package enum UTF8Check {
    package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        Self.wholeSequences(bytes, from: 0) == bytes.count
    }

    /// How many bytes of text that is still coming are whole sequences; what follows them, 3 bytes at most, may yet
    /// become one. `nil` if the text cannot become UTF-8, whatever comes.
    ///
    /// - Parameter start: what was returned for the text's beginning.
    package static func validPrefix(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        let end = Self.wholeSequences(bytes, from: start)
        return end == bytes.count || Self.mayBecomeSequence(.init(rebasing: bytes[end...])) ? end : nil
    }

    /// The index of the first byte that does not belong to a whole sequence.
    private static func wholeSequences(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        let count = bytes.count
        while index < count {
            // Most of what is sent is ASCII: look at eight bytes at a time while it lasts.
            if index + 8 <= count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                if word & 0x8080_8080_8080_8080 == 0 {
                    index += 8
                    continue
                }
            }
            let length = Self.sequenceLength(bytes, at: index)
            if length == 0 { return index }
            index += length
        }
        return index
    }

    /// Whether bytes are the beginning of a sequence that lacks its end: filled up with the one or the other
    /// continuation byte they are a sequence, because the second byte is the only one with bounds of its own.
    private static func mayBecomeSequence(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let first = bytes.first else { return true }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard bytes.count < length else { return false }
        return [0x80, 0xBF].contains { (filler: UInt8) in
            let whole = Array(bytes) + Array(repeating: filler, count: length - bytes.count)
            return whole.withUnsafeBytes { Self.sequenceLength($0, at: 0) == length }
        }
    }

    /// The length of the sequence at `index`, 0 if there is no valid one.
    ///
    /// - Source: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
    private static func sequenceLength(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Int {
        let first = bytes[index]
        if first < 0x80 { return 1 }
        let left = bytes.count - index
        func isContinuation(_ offset: Int) -> Bool { bytes[index + offset] & 0xC0 == 0x80 }
        switch first {
        case 0xC2...0xDF:
            return left >= 2 && isContinuation(1) ? 2 : 0
        case 0xE0...0xEF:
            guard left >= 3, isContinuation(1), isContinuation(2) else { return 0 }
            let second = bytes[index + 1]
            if first == 0xE0 && second < 0xA0 { return 0 }
            if first == 0xED && second > 0x9F { return 0 }
            return 3
        case 0xF0...0xF4:
            guard left >= 4, isContinuation(1), isContinuation(2), isContinuation(3) else { return 0 }
            let second = bytes[index + 1]
            if first == 0xF0 && second < 0x90 { return 0 }
            if first == 0xF4 && second > 0x8F { return 0 }
            return 4
        default:
            return 0
        }
    }
}
