import Testing

@testable import Postgres

@Suite("PostgreSQL's text formats")
struct PostgresTextTests {
    @Test(
        "A timestamp reads and writes as the same moment",
        arguments: [
            (0, "1970-01-01 00:00:00.000+00"),
            (-1, "1969-12-31 23:59:59.999+00"),
            (951_826_799_123, "2000-02-29 12:19:59.123+00"),
            (4_102_444_800_000, "2100-01-01 00:00:00.000+00"),
            (253_402_300_800_000, "10000-01-01 00:00:00.000+00"),
        ] as [(Int64, String)]
    )
    func timestamp(milliseconds: Int64, text: String) {
        let timestamp = PostgresTimestamp(millisecondsSinceEpoch: milliseconds)
        #expect(timestamp.postgresText == text)
        #expect(PostgresTimestamp(postgresText: text) == timestamp)
    }

    @Test("Fractions of any length read to the millisecond, cut off towards the past")
    func fractions() {
        func read(_ text: String) -> Int64? { PostgresTimestamp(postgresText: text)?.millisecondsSinceEpoch }
        #expect(read("1970-01-01 00:00:01+00") == 1_000)
        #expect(read("1970-01-01 00:00:01.5+00") == 1_500)
        #expect(read("1970-01-01 00:00:01.999999+00") == 1_999)
        #expect(read("1969-12-31 23:59:59.000001+00") == -1_000)
    }

    @Test(
        "What is not a moment in UTC is refused",
        arguments: [
            "", "infinity", "-infinity", "1970-01-01", "1970-01-01 00:00:00", "1970-01-01 00:00:00+02",
            "1970-13-01 00:00:00+00", "1970-01-01 00:61:00+00", "0044-03-15 00:00:00+00 BC",
            "1970-01-01 00:00:00.1234567+00", "1970-01-01 00:00:00.+00", "99999999999999-01-01 00:00:00+00",
        ]
    )
    func notATimestamp(text: String) {
        #expect(PostgresTimestamp(postgresText: text) == nil)
    }

    @Test("Every day of eight centuries has one date, and every date one day")
    func calendar() {
        for day in stride(from: Int64(-146_097), through: 146_097, by: 1) {
            let date = CivilDay.date(daysSinceEpoch: day)
            #expect(CivilDay.days(year: date.year, month: date.month, day: date.day) == day)
        }
    }

    @Test(
        "Arrays survive quotes, commas, braces, nulls and emptiness",
        arguments: [[], [""], ["a", nil], ["NULL", "null"], ["a,b", "{c}", "\"d\"", "\\e", " f ", "ü🎟️"]] as [[String?]]
    )
    func arrays(elements: [String?]) {
        #expect(PostgresArrayText.decode(PostgresArrayText.encode(elements)) == elements)
    }

    @Test("Arrays read as the server writes them, without needless quotes")
    func serverArrays() {
        #expect(PostgresArrayText.decode("{1,-2,NULL}") == ["1", "-2", nil])
        #expect([Int](postgresText: "{1,2}") == [1, 2])
        #expect([Int](postgresText: "{1,NULL}") == nil)
        #expect([Int?](postgresText: "{1,NULL}") == [1, nil])
    }

    @Test(
        "Broken arrays are refused",
        arguments: ["", "{", "}", "1,2", "{1,}", "{,1}", "{\"a}", "{{1}}", "{1}x", "{a\"b}"]
    )
    func brokenArrays(text: String) {
        #expect(PostgresArrayText.decode(text) == nil)
    }

    @Test("Bytes are hexadecimal, and broken digits are refused")
    func bytes() {
        #expect(PostgresHex.encode([0, 255, 16]) == #"\x00ff10"#)
        #expect(PostgresHex.decode(#"\x00Ff10"#) == [0, 255, 16])
        #expect(PostgresHex.decode(#"\x"#) == [])
        for text in ["", "00", #"\x0"#, #"\x0g"#, #"\y00"#] { #expect(PostgresHex.decode(text) == nil) }
    }

    @Test("Interpolated values become parameters, and never text")
    func interpolation() {
        let evil = "'; DROP TABLE seats; --"
        let query: PostgresQuery =
            "SELECT \(unescaped: "price") FROM seats WHERE seat_id = \(evil) AND n = \(nil as Int?)"
        #expect(query.sql == "SELECT price FROM seats WHERE seat_id = $1 AND n = $2")
        #expect(query.parameters == [evil, nil])
        #expect(!"\(query)".contains("DROP"))
    }

    @Test("Addresses are read by libpq's rules, and a refused one is not quoted")
    func addresses() throws {
        _ = try PostgresConfiguration(url: "postgresql://user:secret@host:5432/db?sslmode=require")
        _ = try PostgresConfiguration(url: "host=/run/postgresql dbname=holdfast")
        let error = #expect(throws: PostgresError.self) {
            _ = try PostgresConfiguration(url: "postgresql://user:secret@[host/db")
        }
        #expect(error?.code == .configuration)
        #expect(error?.description.contains("secret") == false)
    }
}
