/// A `timestamptz`, to the millisecond.
///
/// Sessions run with `TimeZone = UTC` and `DateStyle = ISO`, so the text is `2026-11-21 10:22:50.123456+00`, with as
/// many fractional digits as needed. Microseconds below the millisecond are cut off towards the past.
///
/// - Bounds: years 1 to 294276, PostgreSQL's own limit above; `infinity` and years before Christ do not decode.
package struct PostgresTimestamp: Sendable, Hashable, Comparable {
    package var millisecondsSinceEpoch: Int64

    package init(millisecondsSinceEpoch: Int64) {
        self.millisecondsSinceEpoch = millisecondsSinceEpoch
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.millisecondsSinceEpoch < right.millisecondsSinceEpoch
    }
}

extension PostgresTimestamp: PostgresEncodable, PostgresArrayEncodable {
    package var postgresText: String? {
        let millisecondsPerDay: Int64 = 86_400_000
        var days = millisecondsSinceEpoch / millisecondsPerDay
        var rest = millisecondsSinceEpoch % millisecondsPerDay
        if rest < 0 {
            rest += millisecondsPerDay
            days -= 1
        }
        let (year, month, day) = CivilDay.date(daysSinceEpoch: days)
        let time = "\(pad(rest / 3_600_000)):\(pad(rest / 60_000 % 60)):\(pad(rest / 1_000 % 60))"
        // The year 0 of the calendar below is the year 1 before Christ.
        let shownYear = year > 0 ? year : 1 - year
        let era = year > 0 ? "" : " BC"
        return "\(pad(shownYear, 4))-\(pad(month))-\(pad(day)) \(time).\(pad(rest % 1_000, 3))+00\(era)"
    }

    private func pad(_ number: Int64, _ width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension PostgresTimestamp: PostgresDecodable, PostgresArrayDecodable {
    package static var postgresTypeName: String { "timestamp with time zone" }

    package init?(postgresText text: String) {
        let halves = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard halves.count == 2, halves[1].suffix(3).elementsEqual("+00".utf8) else { return nil }
        let date = halves[0].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let time = halves[1].dropLast(3).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard date.count == 3, (1...2).contains(time.count) else { return nil }
        let clock = time[0].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard clock.count == 3,
            let year = Self.number(date[0], 1...294_276),
            let month = Self.number(date[1], 1...12),
            let day = Self.number(date[2], 1...31),
            let hour = Self.number(clock[0], 0...24),
            let minute = Self.number(clock[1], 0...59),
            let second = Self.number(clock[2], 0...60)
        else { return nil }
        var millisecond: Int64 = 0
        if time.count == 2 {
            guard (1...6).contains(time[1].count), let fraction = Self.number(time[1], 0...999_999) else { return nil }
            var scaled = fraction
            for _ in time[1].count..<6 { scaled *= 10 }
            millisecond = scaled / 1_000
        }
        let days = CivilDay.days(year: year, month: month, day: day)
        millisecondsSinceEpoch = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millisecond
    }

    private static func number(_ digits: Substring.UTF8View, _ range: ClosedRange<Int64>) -> Int64? {
        guard !digits.isEmpty, digits.count <= 6, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let number = digits.reduce(into: Int64(0)) { $0 = $0 * 10 + Int64($1 - 48) }
        return range.contains(number) ? number : nil
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, extended backwards as PostgreSQL does.
///
/// The year is counted from March, so that the leap day is its last day and every month's start is a line
/// through 153 days per five months. An era is 400 years, after which the calendar repeats.
enum CivilDay {
    private static let daysPerEra: Int64 = 146_097
    /// From 0000-03-01, the start of era 0, to 1970-01-01.
    private static let daysBeforeEpoch: Int64 = 719_468

    static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let marchYear = month > 2 ? year : year - 1
        let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
        let yearOfEra = marchYear - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * daysPerEra + dayOfEra - daysBeforeEpoch
    }

    static func date(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSinceEpoch + daysBeforeEpoch
        let era = (days >= 0 ? days : days - daysPerEra + 1) / daysPerEra
        let dayOfEra = days - era * daysPerEra
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }
}
