import NIOCore
import Testing

@testable import SocketIO

@Suite struct JSONScannerTests {
    @Test(
        "Every kind of value is taken",
        arguments: [
            "1", "-0", "1.5e+10", "true", "false", "null", "\"a\\u00e9\\n\"", "[]", "{}", "[1,[2,{\"a\":[]}]]",
            " { \"a\" : 1 , \"b\" : [ ] } ",
        ]
    )
    func valid(text: String) throws {
        #expect(try RawJSON(validating: text).string == text)
    }

    @Test(
        "What is no JSON is refused",
        arguments: [
            "", " ", "01", "1.", ".5", "+1", "1e", "-", "tru", "True", "nul", "\"a", "\"\\x\"", "\"\\u12g4\"",
            "\"\u{01}\"", "[1,]", "[,]", "[1 2]",
            "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "[1]]", "1 1", "NaN", "'a'", "[", "{", "{\"a\":1",
        ]
    )
    func invalid(text: String) {
        #expect(throws: JSONSyntaxError.self) { try RawJSON(validating: text) }
    }

    @Test("Text that is cut at any byte is refused and never trapped on")
    func truncation() throws {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\\",true,null,{"b":false}],"c":"é"}"#.utf8)
        for length in 0..<text.count {
            #expect(throws: JSONSyntaxError.self) { try RawJSON(validating: ByteBuffer(bytes: text[..<length])) }
        }
        _ = try RawJSON(validating: ByteBuffer(bytes: text))
    }

    @Test("Nesting is bounded by 16")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try RawJSON(validating: nested(16))
        #expect(throws: JSONSyntaxError.self) { try RawJSON(validating: nested(17)) }
        #expect(throws: JSONSyntaxError.self) { try RawJSON(validating: nested(100_000)) }
    }

    @Test("Bytes that are not UTF-8 are refused")
    func encoding() {
        #expect(throws: JSONSyntaxError.self) { try RawJSON(validating: ByteBuffer(bytes: [0x22, 0xFF, 0x22])) }
    }

    @Test("A key that is there twice is refused where it would be decoded")
    func duplicateKeys() throws {
        let raw = try RawJSON(validating: #"{"a":1,"a":2}"#)
        #expect(throws: JSONSyntaxError.self) { try raw.decode([String: Int].self) }
        #expect(try RawJSON(validating: #"{"a":1}"#).decode([String: Int].self) == ["a": 1])
    }

    @Test("An escape hides no key that is there twice", arguments: [#"\u0061"#, #"\u0061\u000a"#])
    func escapedKeys(key: String) throws {
        let plain = key == #"\u0061"# ? "a" : #"a\n"#
        let raw = try RawJSON(validating: #"{"\#(plain)":1,"\#(key)":2}"#)
        #expect(throws: JSONSyntaxError.self) { try raw.decode([String: Int].self) }
        let smileys = try RawJSON(validating: #"{"\ud83d\ude00":1,"\ud83d\ude01":2}"#)
        #expect(try smileys.decode([String: Int].self).count == 2)
    }

    @Test("Lone surrogates and NUL are JSON, and decoding them is an error or a value, never a trap")
    func strangeText() throws {
        for text in [#""\ud800""#, #""\udc00\ud800""#, #""\u0000""#, #"{"\ud800":1,"\udc00":1}"#] {
            let raw = try RawJSON(validating: text)
            _ = try? raw.decode(String.self)
            _ = try? raw.decode([String: Int].self)
        }
    }
}
