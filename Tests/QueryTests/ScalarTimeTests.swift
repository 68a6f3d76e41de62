// Buckets of time with and without zones: days on which clocks change, leap years, times before 1970 and far ones.

import EventStoreCore
import Foundation
import Testing

@testable import EventStoreQuery

/// Zones as Foundation knows them, by its own list of transitions.
struct FoundationZones: ZoneSource {
    func rules(_ name: String) -> ZoneRules? {
        guard let zone = TimeZone(identifier: name) else { return nil }
        func offset(_ date: Date) -> Int64 { Int64(zone.secondsFromGMT(for: date)) * 1000 }
        var date = Date(timeIntervalSince1970: -2_208_988_800)
        let initial = offset(date)
        var transitions: [ZoneRules.Transition] = []
        while let next = zone.nextDaylightSavingTimeTransition(after: date), next > date, transitions.count < 500 {
            let ms = Int64((next.timeIntervalSince1970 * 1000).rounded())
            transitions.append(ZoneRules.Transition(utcMs: ms, offsetMs: offset(next)))
            date = next
        }
        return ZoneRules(initialOffsetMs: initial, transitions: transitions)
    }
}

@Suite struct ScalarTimeTests {
    static let names = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    static let zones: [String: ZoneRules] = {
        var zones: [String: ZoneRules] = [:]
        for name in names + ["America/Sao_Paulo", "Pacific/Apia", "America/Havana", "America/St_Johns"] {
            zones[name] = FoundationZones().rules(name)
        }
        return zones
    }()

    func ms(_ text: String) throws -> Int64 { try #require(TimeText.parse(Text(text)), "\(text)") }

    func call(_ function: ScalarFunction, _ arguments: SQLValue...) throws -> SQLValue {
        try ScalarFunction.call(function, arguments, zones: FoundationZones())
    }

    /// Starts of the buckets from one moment up to another, as text in the zone.
    func starts(_ width: String, _ zone: String, _ from: String, _ to: String) throws -> [String] {
        let plan = try #require(
            try TimeFunctions.plan(.timeBucket, width: .text(width), zone: .text(zone), FoundationZones()))
        var moment = try ms(from)
        let end = try ms(to)
        var starts: [String] = []
        while moment < end {
            starts.append(TimeText.iso(plan.bucket(moment), zone: Self.zones[zone]))
            moment = plan.nextBoundary(moment)
        }
        return starts
    }

    @Test(arguments: [
        ("Europe/Berlin", "2026-03-29T00:00:00+01:00", 23.0), ("Europe/Berlin", "2026-10-25T00:00:00+02:00", 25.0),
        ("Europe/Berlin", "2026-06-01T00:00:00+02:00", 24.0), ("America/New_York", "2026-03-08T00:00:00-05:00", 23.0),
        ("America/New_York", "2026-11-01T00:00:00-04:00", 25.0), ("Asia/Kolkata", "2026-10-25T00:00:00+05:30", 24.0),
        ("Australia/Lord_Howe", "2026-10-04T00:00:00+10:30", 23.5),
        ("Australia/Lord_Howe", "2026-04-05T00:00:00+11:00", 24.5),
    ])
    func daysHaveTheHoursTheyHave(_ zone: String, _ midnight: String, _ hours: Double) throws {
        let rules = try #require(Self.zones[zone])
        let plan = BucketPlan(width: .fixed(Limits.msPerDay), zone: rules)
        let start = try ms(midnight)
        let length = Int64(hours * 3_600_000)
        for moment in [start, start + 1, start + length / 2, start + length - 1] {
            #expect(plan.interval(moment) == (start, start + length))
        }
        #expect(plan.bucket(start - 1) == start - Limits.msPerDay)
        let hourly = BucketPlan(width: .fixed(3_600_000), zone: rules)
        var count = 0
        var moment = start
        while moment < start + length {
            #expect(hourly.bucket(moment) == moment)
            moment = hourly.nextBoundary(moment)
            count += 1
        }
        #expect(moment == start + length)
        #expect(Double(count) == hours.rounded(.up))
    }

    @Test func hoursOfADayThatIsLongerAreDistinct() throws {
        #expect(
            try starts("1 hour", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z") == [
                "2026-10-25T02:00:00.000+02:00", "2026-10-25T02:00:00.000+01:00", "2026-10-25T03:00:00.000+01:00",
            ])
        #expect(
            try starts("1h", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z") == [
                "2026-04-05T01:00:00.000+11:00", "2026-04-05T01:30:00.000+10:30", "2026-04-05T02:00:00.000+10:30",
            ])
        #expect(
            try starts("30 min", "Asia/Kolkata", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z") == [
                "2026-10-25T05:30:00.000+05:30", "2026-10-25T06:00:00.000+05:30",
            ])
    }

    @Test func widthsOverAnHourFollowTheWallClock() throws {
        #expect(
            try starts("6 hours", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z") == [
                "2026-03-29T00:00:00.000+01:00", "2026-03-29T06:00:00.000+02:00", "2026-03-29T12:00:00.000+02:00",
                "2026-03-29T18:00:00.000+02:00",
            ])
        #expect(
            try starts("2 hours", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T04:00:00Z") == [
                "2026-10-25T02:00:00.000+02:00", "2026-10-25T04:00:00.000+01:00",
            ])
    }

    @Test func oddDaysOfOddZones() throws {
        // Midnight left out: the day begins at one o'clock.
        #expect(
            try starts("1 day", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z") == [
                "2018-11-03T00:00:00.000-03:00", "2018-11-04T01:00:00.000-02:00", "2018-11-05T00:00:00.000-02:00",
            ])
        // A day left out: the 30th of December 2011 is no bucket.
        #expect(
            try starts("1 day", "Pacific/Apia", "2011-12-29T12:00:00Z", "2012-01-01T09:00:00Z") == [
                "2011-12-29T00:00:00.000-10:00", "2011-12-31T00:00:00.000+14:00", "2012-01-01T00:00:00.000+14:00",
            ])
        // Midnight comes twice: the day begins with the first.
        #expect(
            try starts("1 day", "America/Havana", "2025-11-02T03:00:00Z", "2025-11-03T12:00:00Z") == [
                "2025-11-01T00:00:00.000-04:00", "2025-11-02T00:00:00.000-04:00", "2025-11-03T00:00:00.000-05:00",
            ])
    }

    @Test func agreesWithFoundationsCalendar() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for name in Self.names {
            var calendar = Calendar(identifier: .gregorian)
            calendar.timeZone = try #require(TimeZone(identifier: name))
            calendar.firstWeekday = 2
            let rules = try #require(Self.zones[name])
            let plans: [(Calendar.Component, BucketPlan)] = [
                (.day, BucketPlan(width: .fixed(Limits.msPerDay), zone: rules)),
                (.weekOfYear, BucketPlan(width: .weeks(1), zone: rules)),
                (.month, BucketPlan(width: .months(1), zone: rules)),
                (.year, BucketPlan(width: .months(12), zone: rules)),
            ]
            for round in 0..<300 {
                var moment = Int64.random(in: -1_500_000_000...3_900_000_000, using: &generator) * 1000
                if round % 2 == 0, let near = rules.transitions.randomElement(using: &generator)?.utcMs {
                    moment = near + Int64.random(in: -100_000...100_000, using: &generator) * 1000
                }
                guard moment > -1_500_000_000_000 else { continue }
                let date = Date(timeIntervalSince1970: Double(moment) / 1000)
                for (component, plan) in plans {
                    let expected = try #require(calendar.dateInterval(of: component, for: date))
                    let start = Int64(expected.start.timeIntervalSince1970 * 1000)
                    #expect(plan.bucket(moment) == start, "seed \(seed) \(name) \(component) \(moment)")
                }
            }
        }
    }

    @Test func bucketsFollowOneAnotherWithoutGaps() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let widths: [BucketWidth] = [
            .fixed(1), .fixed(1000), .fixed(7 * 60_000), .fixed(3_600_000), .fixed(5 * 3_600_000),
            .fixed(86_400_000), .fixed(3 * 86_400_000), .weeks(1), .weeks(2), .months(1), .months(3), .months(12),
        ]
        for (name, rules) in Self.zones {
            for width in widths {
                let plan = BucketPlan(width: width, zone: rules)
                var cursor = BucketCursor(plan)
                for _ in 0..<60 {
                    let near = rules.transitions.randomElement(using: &generator)?.utcMs ?? 0
                    let moment = near + Int64.random(in: -100_000_000...100_000_000, using: &generator)
                    let (start, end) = plan.interval(moment)
                    let context: Comment = "seed \(seed) \(name) \(width) \(moment)"
                    #expect(start <= moment && moment < end, context)
                    #expect(plan.bucket(start) == start && plan.bucket(end - 1) == start, context)
                    #expect(plan.bucket(end) == end && plan.bucket(start - 1) < start, context)
                    #expect(cursor.bucket(moment) == start, context)
                }
            }
        }
    }

    @Test func farTimesDoNotTrap() throws {
        let moments: [Int64] = [
            .min, .min + 1, -(1 << 62), -62_135_596_800_000, -62_167_219_200_001, -1, 0, 1, 253_402_300_799_999,
            253_402_300_800_000, 1 << 62, .max - 1, .max,
        ]
        let widths = ["1ms", "7 s", "1h", "5 h", "1 day", "9007199254740992 ms", "1 week", "1 month", "7 years"]
        for zone in [
            nil, ZoneRules(initialOffsetMs: -3_600_000), Self.zones["Europe/Berlin"], Self.zones["Pacific/Apia"],
        ] {
            for width in widths {
                let length = try #require(try TimeFunctions.width(.text(width)))
                let plan = BucketPlan(width: length, zone: zone)
                for moment in moments {
                    let (start, end) = plan.interval(moment)
                    #expect(start <= moment && (moment < end || moment == .max), "\(width) \(moment) \(start) \(end)")
                    #expect(plan.bucket(moment) == start)
                }
            }
            for moment in moments { #expect(TimeText.iso(moment, zone: zone).utf8.count >= 24) }
        }
    }

    @Test func calendarUnitsOfLeapYearsAndTimesBefore1970() throws {
        func truncated(_ unit: String, _ time: String) throws -> String {
            guard case .integer(let ms) = try call(.dateTrunc, .text(unit), .text(time)) else { return "?" }
            return TimeText.iso(ms, zone: nil)
        }
        #expect(try truncated("month", "2024-02-29T23:59:59.999Z") == "2024-02-01T00:00:00.000Z")
        #expect(try truncated("day", "2024-02-29") == "2024-02-29T00:00:00.000Z")
        #expect(try truncated("week", "2024-03-03T10:00:00Z") == "2024-02-26T00:00:00.000Z")
        #expect(try truncated("quarter", "1969-12-31T23:59:59.999Z") == "1969-10-01T00:00:00.000Z")
        #expect(try truncated("year", "1900-02-28T12:00:00Z") == "1900-01-01T00:00:00.000Z")
        #expect(try truncated("hour", "0001-01-01T00:30:00Z") == "0001-01-01T00:00:00.000Z")
        #expect(try call(.dateTrunc, .text("MINUTE"), .integer(-1)) == .integer(-60_000))
        #expect(try call(.dateTrunc, .text("second"), .double(-0.5)) == .integer(-1000))
        #expect(try call(.timeBucket, .text("1 week"), .integer(0)) == .integer(-3 * 86_400_000))
        #expect(try call(.timeBucket, .integer(60_000), .integer(119_999)) == .integer(60_000))
        #expect(try call(.timeBucket, .text(" 3 Months "), .text("2026-12-31")) == .integer(try ms("2026-10-01")))
        #expect(
            try call(.dateTrunc, .text("day"), .text("2026-11-22T23:30:00Z"), .text("Europe/Berlin"))
                == .integer(try ms("2026-11-23T00:00:00+01:00")))
    }

    @Test func isoWritesTimes() throws {
        let time = SQLValue.integer(try ms("2026-11-23T10:15:00.123Z"))
        #expect(try call(.iso, time) == .text("2026-11-23T10:15:00.123Z"))
        #expect(try call(.iso, time, .text("Europe/Berlin")) == .text("2026-11-23T11:15:00.123+01:00"))
        #expect(try call(.iso, time, .text("America/New_York")) == .text("2026-11-23T05:15:00.123-05:00"))
        #expect(try call(.iso, time, .text("+05:30")) == .text("2026-11-23T15:45:00.123+05:30"))
        #expect(try call(.iso, .integer(-1)) == .text("1969-12-31T23:59:59.999Z"))
        #expect(try call(.iso, .integer(.max)) == .text("+292278994-08-17T07:12:55.807Z"))
        #expect(try call(.iso, .integer(.min)) == .text("-292275055-05-16T16:47:04.192Z"))
    }

    @Test func nullsGiveNull() throws {
        #expect(try call(.timeBucket, .null, .integer(1)) == .null)
        #expect(try call(.timeBucket, .text("1 day"), .null) == .null)
        #expect(try call(.timeBucket, .text("1 day"), .integer(1), .null) == .null)
        #expect(try call(.dateTrunc, .null, .integer(1)) == .null)
        #expect(try call(.iso, .null) == .null)
        #expect(try call(.iso, .integer(1), .null) == .null)
    }

    @Test func errorsSayWhatIsAllowed() {
        func message(_ function: ScalarFunction, _ arguments: SQLValue...) -> String {
            do throws(Fault) {
                return "\(try ScalarFunction.call(function, arguments, zones: FoundationZones()))"
            } catch { return error.code == .invalid ? error.message : "another code" }
        }
        for width: SQLValue in [
            .text("0 days"), .text("1 fortnight"), .integer(0), .integer(-5), .text("-1 day"), .text(""),
            .text("99999999999999999999 h"), .double(0.5), .integer(.max),
        ] {
            #expect(message(.timeBucket, width, .integer(1)).contains("'15 minutes'"), "\(width)")
        }
        #expect(message(.timeBucket, .text("1 day"), .integer(1), .text("Mars/Base")).contains("unknown time zone"))
        #expect(message(.dateTrunc, .text("decade"), .integer(1)).contains("'quarter', 'year'"))
        #expect(message(.dateTrunc, .text("day"), .text("yesterday")).contains("RFC 3339"))
        #expect(message(.iso, .text("2026-02-29")).contains("is no time"))
        #expect(message(.iso).contains("expected 1 or 2"))
    }

    @Test func textOfTimesIsRead() throws {
        let ten = try ms("2026-11-23T10:15:00Z")
        for text in [
            "2026-11-23 10:15:00Z", "2026-11-23t10:15z", "2026-11-23T11:15:00+01:00", "2026-11-23T10:15:00.0009Z",
        ] {
            #expect(try ms(text) == ten)
        }
        for text in [
            "", "2026", "2026-11-23T10:15:00", "2026-13-01", "2026-11-23T24:00:00Z", "2026-11-23x",
            "2026-11-23T10:15:00.Z",
        ] {
            #expect(TimeText.parse(Text(text)) == nil)
        }
    }
}
