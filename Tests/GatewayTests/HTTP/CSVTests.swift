import Testing

@testable import Gateway

@Suite struct CSVTests {
    @Test("Fields are quoted when they must be, and nothing reads as a formula")
    func fields() {
        #expect(CSV.field("VIP") == "VIP")
        #expect(CSV.field("a,b") == "\"a,b\"")
        #expect(CSV.field("say \"a\"\r\n") == "\"say \"\"a\"\"\r\n\"")
        #expect(CSV.field("=HYPERLINK(\"x\")") == "\"'=HYPERLINK(\"\"x\"\")\"")
        #expect(CSV.field("+1-2") == "'+1-2")
        #expect(CSV.field("@here") == "'@here")
        #expect(CSV.field("\tx") == "'\tx")
        #expect(CSV.field("-5") == "-5")
        #expect(CSV.line(["a", "", "b"]) == "a,,b\r\n")
    }
}
