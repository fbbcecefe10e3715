import SocketIO

/// A payload that comes so often that `Codable` would be much of its cost.
protocol QuicklyDecodable: Decodable {
    /// Nil for whatever is not of the plainest form, be it right or wrong: `Codable` takes those, and says what is wrong.
    init?(quickly json: RawJSON)
}

/// Reads objects of strings and of lists of strings, without blanks or escapes, from text that is known to be JSON.
struct PlainJSONReader {
    private let bytes: UnsafeRawBufferPointer
    private var index = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    /// - Parameter member: reads the value of the key; false if it is none that it reads.
    /// - Returns: whether that was all of it.
    mutating func object(_ member: (String, inout PlainJSONReader) -> Bool) -> Bool {
        guard take(UInt8(ascii: "{")) else { return false }
        repeat {
            guard let key = string(), take(UInt8(ascii: ":")), member(key, &self) else { return false }
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "}")) && index == bytes.count
    }

    mutating func string() -> String? {
        guard take(UInt8(ascii: "\"")) else { return nil }
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            guard bytes[index] != UInt8(ascii: "\\") else { return nil }
            index += 1
        }
        defer { index += 1 }
        return index < bytes.count ? String(decoding: bytes[start..<index], as: UTF8.self) : nil
    }

    mutating func strings<Value>(_ value: (String) -> Value?) -> [Value]? {
        guard take(UInt8(ascii: "[")) else { return nil }
        var values: [Value] = []
        if take(UInt8(ascii: "]")) { return values }
        repeat {
            guard let next = string().flatMap(value) else { return nil }
            values.append(next)
        } while take(UInt8(ascii: ","))
        return take(UInt8(ascii: "]")) ? values : nil
    }
}
