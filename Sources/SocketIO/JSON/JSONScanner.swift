import NIOCore

/// Text that is no JSON, or more of it than we take.
package struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package let message: String
    /// Bytes from the beginning.
    package let offset: Int

    package var description: String { "JSON: \(self.message) at byte \(self.offset)" }
}

/// Walks over JSON text and checks every byte of it without building anything.
///
/// Arguments of events are passed on as the bytes they came as: so 1 stays 1 and true stays true, and an echo costs
/// no parsing. What this scanner has accepted may therefore be spliced into other JSON text.
///
/// - Bounds: nesting up to `maxDepth`; the input's length was bounded by the caller, who also checked its UTF-8.
/// - Source: RFC 8259.
struct JSONScanner {
    /// Of text that a peer has not sent, or that was checked when it came: what the stack bears many times over.
    static let maxDepth = 512

    /// An object of the form `{"_placeholder":true,"num":n}`.
    struct Placeholder {
        var range: Range<Int>
        var number: Int?
    }

    private let bytes: UnsafeRawBufferPointer
    private(set) var index: Int
    private var depth = 0
    private let maxDepth: Int
    private let findsPlaceholders: Bool
    private let refusesDuplicates: Bool
    private(set) var placeholders: [Placeholder] = []

    init(
        _ bytes: UnsafeRawBufferPointer,
        from index: Int = 0,
        findsPlaceholders: Bool = false,
        refusesDuplicates: Bool = false,
        maxDepth: Int = Self.maxDepth
    ) {
        self.bytes = bytes
        self.index = index
        self.maxDepth = min(maxDepth, Self.maxDepth)
        self.findsPlaceholders = findsPlaceholders
        self.refusesDuplicates = refusesDuplicates
    }

    var isAtEnd: Bool { self.index >= self.bytes.count }
    var current: UInt8? { self.index < self.bytes.count ? self.bytes[self.index] : nil }

    func failure(_ message: String) -> JSONSyntaxError { JSONSyntaxError(message: message, offset: self.index) }

    mutating func skipBlanks() {
        while self.index < self.bytes.count {
            switch self.bytes[self.index] {
            case 0x20, 0x09, 0x0A, 0x0D: self.index += 1
            default: return
            }
        }
    }

    mutating func expect(_ byte: UInt8, _ what: String) throws(JSONSyntaxError) {
        guard self.current == byte else { throw self.failure(what) }
        self.index += 1
    }

    /// Walks over one value, blanks around it not included.
    mutating func skipValue() throws(JSONSyntaxError) {
        guard let first = self.current else { throw self.failure("a value is missing") }
        switch first {
        case 0x22: try self.skipString()
        case 0x7B: try self.skipObject()
        case 0x5B: try self.skipArray { _, _ in }
        case 0x74: try self.skipWord("true")
        case 0x66: try self.skipWord("false")
        case 0x6E: try self.skipWord("null")
        default: try self.skipNumber()
        }
    }

    /// Walks over an array and tells where each element lies.
    mutating func skipArray(_ element: (Int, Range<Int>) -> Void) throws(JSONSyntaxError) {
        try self.expect(0x5B, "an array is expected")
        try self.enter()
        self.skipBlanks()
        var count = 0
        if self.current != 0x5D {
            while true {
                self.skipBlanks()
                let start = self.index
                try self.skipValue()
                element(count, start..<self.index)
                count += 1
                self.skipBlanks()
                guard self.current == 0x2C else { break }
                self.index += 1
            }
        }
        try self.expect(0x5D, "an array is not closed")
        self.depth -= 1
    }

    private mutating func skipObject() throws(JSONSyntaxError) {
        let start = self.index
        self.index += 1
        try self.enter()
        self.skipBlanks()
        var keys: Set<[UInt8]> = []
        var isPlaceholder = false
        var number: Int?
        if self.current != 0x7D {
            while true {
                self.skipBlanks()
                let keyStart = self.index
                guard self.current == 0x22 else { throw self.failure("a key is expected") }
                try self.skipString()
                let key = self.key(keyStart..<self.index)
                if self.refusesDuplicates, !keys.insert(key).inserted { throw self.failure("a key is there twice") }
                self.skipBlanks()
                try self.expect(0x3A, "a colon is expected")
                self.skipBlanks()
                let valueStart = self.index
                try self.skipValue()
                if self.findsPlaceholders {
                    let value = valueStart..<self.index
                    if key.elementsEqual("_placeholder".utf8) { isPlaceholder = self.text(value, is: "true") }
                    if key.elementsEqual("num".utf8) {
                        number = Int(String(decoding: self.bytes[value], as: UTF8.self))
                    }
                }
                self.skipBlanks()
                guard self.current == 0x2C else { break }
                self.index += 1
            }
        }
        try self.expect(0x7D, "an object is not closed")
        self.depth -= 1
        if isPlaceholder { self.placeholders.append(Placeholder(range: start..<self.index, number: number)) }
    }

    /// A key's text as readers see it: an escape must hide neither a placeholder nor a key that is there twice.
    /// Escapes of characters outside ASCII stay as they are.
    private func key(_ range: Range<Int>) -> [UInt8] {
        guard self.findsPlaceholders || self.refusesDuplicates else { return [] }
        let text = self.bytes[(range.lowerBound + 1)..<(range.upperBound - 1)]
        guard text.contains(0x5C) else { return Array(text) }
        var key: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            guard text[index] == 0x5C else {
                key.append(text[index])
                index += 1
                continue
            }
            let letter = text[index + 1]
            if letter == 0x75 {
                let escape = text[index..<(index + 6)]
                if let byte = UInt8(String(decoding: escape.dropFirst(2), as: UTF8.self), radix: 16), byte < 0x80 {
                    key.append(byte)
                } else {
                    key += escape
                }
                index += 6
            } else {
                key.append(Self.escapes[letter] ?? letter)
                index += 2
            }
        }
        return key
    }

    private static let escapes: [UInt8: UInt8] = [0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9]

    private mutating func enter() throws(JSONSyntaxError) {
        self.depth += 1
        if self.depth > self.maxDepth { throw self.failure("nested deeper than \(self.maxDepth)") }
    }

    private func text(_ range: Range<Int>, is text: StaticString) -> Bool {
        range.count == text.utf8CodeUnitCount
            && self.bytes[range].elementsEqual(
                UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
            )
    }

    private mutating func skipWord(_ word: StaticString) throws(JSONSyntaxError) {
        let end = self.index + word.utf8CodeUnitCount
        guard end <= self.bytes.count, self.text(self.index..<end, is: word) else {
            throw self.failure("an unknown word")
        }
        self.index = end
    }

    private mutating func skipString() throws(JSONSyntaxError) {
        self.index += 1
        while self.index < self.bytes.count {
            let byte = self.bytes[self.index]
            if byte == 0x22 {
                self.index += 1
                return
            }
            if byte == 0x5C {
                try self.skipEscape()
            } else if byte < 0x20 {
                throw self.failure("a control character in a string")
            } else {
                self.index += 1
            }
        }
        throw self.failure("a string is not closed")
    }

    private mutating func skipEscape() throws(JSONSyntaxError) {
        self.index += 1
        switch self.current {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
            self.index += 1
        case 0x75:
            self.index += 1
            for _ in 0..<4 {
                switch self.current ?? 0 {
                case 0x30...0x39, 0x41...0x46, 0x61...0x66: self.index += 1
                default: throw self.failure("an escape is not four hexadecimal digits")
                }
            }
        default:
            throw self.failure("an unknown escape")
        }
    }

    private mutating func skipNumber() throws(JSONSyntaxError) {
        if self.current == 0x2D { self.index += 1 }
        if self.current == 0x30 {
            self.index += 1
        } else {
            try self.skipDigits()
        }
        if self.current == 0x2E {
            self.index += 1
            try self.skipDigits()
        }
        if self.current == 0x65 || self.current == 0x45 {
            self.index += 1
            if self.current == 0x2B || self.current == 0x2D { self.index += 1 }
            try self.skipDigits()
        }
    }

    private mutating func skipDigits() throws(JSONSyntaxError) {
        let start = self.index
        while let byte = self.current, byte >= 0x30, byte <= 0x39 { self.index += 1 }
        if self.index == start { throw self.failure("a digit is expected") }
    }
}
