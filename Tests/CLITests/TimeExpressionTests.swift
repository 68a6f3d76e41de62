/// Times as the contract lets people write them, zones and clock changes included.

import EventStoreCLI
import Foundation
import Testing

@Suite("Time expressions")
struct TimeExpressionTests {
    /// 2026-11-23T10:00:00.500Z, a Monday.
    private static let now: Int64 = 1_795_428_000_500
    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour

    private func parse(_ text: String, zone: String = "UTC", now: Int64 = Self.now) throws -> Int64? {
        TimeExpression.parse(text, nowMs: now, zone: try #require(TimeZone(identifier: zone)))
    }

    @Test(arguments: [
        ("2026-11-23T10:00:00Z", 1_795_428_000_000), ("2026-11-23t10:00:00z", 1_795_428_000_000),
        ("2026-11-23 10:00:00Z", 1_795_428_000_000), ("2026-11-23T10:00Z", 1_795_428_000_000),
        ("2026-11-23T12:00:00+02:00", 1_795_428_000_000), ("2026-11-23T04:30:00-05:30", 1_795_428_000_000),
        ("2026-11-23T10:00:00.5Z", 1_795_428_000_500), ("2026-11-23T10:00:00.123456789Z", 1_795_428_000_123),
        ("2026-11-23T10:00:00", 1_795_428_000_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("1970-01-01", 0), ("1969-12-31T23:59:59.999Z", -1), ("2024-02-29", 1_709_164_800_000),
    ])
    func calendarTimes(text: String, expected: Int64) throws { #expect(try parse(text) == expected) }

    @Test func integersAreMilliseconds() throws {
        #expect(try parse("0") == 0)
        #expect(try parse("1795428000500") == Self.now)
        #expect(try parse("-1") == -1)
        #expect(try parse("2026") == 2026)
        #expect(try parse("9223372036854775807") == .max)
    }

    @Test func relativeTimesLieInThePast() throws {
        #expect(try parse("now") == Self.now)
        for text in ["24h", "-24h"] { #expect(try parse(text) == Self.now - Self.day) }
        for text in ["7d", "-7d", "1w", "-1w"] { #expect(try parse(text) == Self.now - 7 * Self.day) }
        #expect(try parse("15m") == Self.now - 15 * 60_000)
        #expect(try parse("30s") == Self.now - 30_000)
        #expect(try parse("500ms") == Self.now - 500)
        #expect(try parse("0d") == Self.now)
    }

    @Test func todayBeginsAtMidnightOfTheZone() throws {
        #expect(try parse("today") == 1_795_392_000_000)
        #expect(try parse("yesterday") == 1_795_392_000_000 - Self.day)
        #expect(try parse("today", zone: "Europe/Berlin") == 1_795_392_000_000 - Self.hour)
        // 23:30 UTC is tomorrow already in Berlin.
        let late = 1_795_392_000_000 + 23 * Self.hour + Self.hour / 2
        #expect(try parse("today", zone: "Europe/Berlin", now: late) == 1_795_392_000_000 + 23 * Self.hour)
        #expect(try parse("today", zone: "America/New_York") == 1_795_392_000_000 + 5 * Self.hour)
    }

    @Test func datesAreOfTheZone() throws {
        #expect(try parse("2026-11-23", zone: "Europe/Berlin") == 1_795_392_000_000 - Self.hour)
        #expect(try parse("2026-07-01", zone: "Europe/Berlin") == 1_782_864_000_000 - 2 * Self.hour)
        #expect(try parse("2026-11-23T10:00:00", zone: "Asia/Kolkata") == 1_795_428_000_000 - 11 * Self.hour / 2)
        // A time that names its offset does not care.
        #expect(try parse("2026-11-23T10:00:00Z", zone: "Asia/Kolkata") == 1_795_428_000_000)
    }

    @Test("Days of 23 and 25 hours, the hour that is not there, the hour that is there twice")
    func clockChanges() throws {
        let zone = "Europe/Berlin"
        let spring = try #require(try parse("2026-03-29", zone: zone))
        let afterSpring = try #require(try parse("2026-03-30", zone: zone))
        #expect(afterSpring - spring == 23 * Self.hour)
        let autumn = try #require(try parse("2026-10-25", zone: zone))
        let afterAutumn = try #require(try parse("2026-10-26", zone: zone))
        #expect(afterAutumn - autumn == 25 * Self.hour)
        // 02:30 does not exist: half an hour after the gap's start. 02:30 exists twice: the first.
        #expect(try parse("2026-03-29T02:30", zone: zone) == parse("2026-03-29T01:30:00Z"))
        #expect(try parse("2026-10-25T02:30", zone: zone) == parse("2026-10-25T00:30:00Z"))
        #expect(try parse("2026-10-25T03:30", zone: zone) == parse("2026-10-25T02:30:00Z"))
        // Midnight itself is skipped: the day begins at one.
        #expect(try parse("2026-03-08", zone: "America/Havana") == parse("2026-03-08T05:00:00Z"))
    }

    @Test(arguments: [
        "", "-", "h", "24", "24 h", "24H", "1.5h", "+24h", "--24h", "tomorrow", "2026-13-01", "2026-02-29",
        "2026-00-10", "2026-11-00", "2026-1-1", "26-11-23", "2026-11-23T", "2026-11-23T24:00", "2026-11-23T10:60",
        "2026-11-23T10:00:61", "2026-11-23T10:00:00.", "2026-11-23T10:00:00+2", "2026-11-23T10:00:00+0200",
        "2026-11-23T10:00:00Zulu", "2026-11-23T10", "23.11.2026", "9223372036854775808", "99999999999999w",
        "٢٠٢٦-١١-٢٣",
    ])
    func otherTextIsRefused(text: String) throws {
        if text == "24" { return #expect(try parse(text) == 24) }
        #expect(try parse(text) == nil)
    }

    @Test func printsWhatItReads() throws {
        for zone in ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"] {
            let times = TimeText(zone: try #require(TimeZone(identifier: zone)))
            for ms in [0, 1, -1, Self.now, 951_782_400_000, 1_792_915_200_123, 4_102_444_799_999] as [Int64] {
                #expect(try parse(times.rfc3339(ms)) == ms, "\(zone) \(ms): \(times.rfc3339(ms))")
            }
        }
        for ms in [-62_135_596_800_000, 253_402_300_799_999] as [Int64] {
            #expect(try parse(TimeText(zone: .gmt).rfc3339(ms)) == ms)
        }
        #expect(TimeText(zone: .gmt).rfc3339(Self.now) == "2026-11-23T10:00:00.500Z")
        let berlin = TimeText(zone: try #require(TimeZone(identifier: "Europe/Berlin")))
        #expect(berlin.rfc3339(Self.now) == "2026-11-23T11:00:00.500+01:00")
    }
}
