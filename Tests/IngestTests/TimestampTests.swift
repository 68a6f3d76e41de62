// Timestamps: numbers by magnitude, RFC 3339, zones, local times with gaps, the limit on the future.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct TimestampTests {
    private func parse(_ value: String, zone: String? = nil) -> Parsed {
        parseJSON(#"{"entity":"a","type":"t","timestamp":\#(value)}"#, testOptions(zone: zone))
    }

    private func ms(_ value: String, zone: String? = nil) -> Int64? { parse(value, zone: zone).rows.first?.timestamp }

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("1", 1000), ("-1", -1000), ("1700000000", 1_700_000_000_000),
            ("1700000000123", 1_700_000_000_123), ("1700000000123456", 1_700_000_000_123),
            ("1700000000123456789", 1_700_000_000_123), ("1700000000999999999", 1_700_000_000_999),
            ("1000000000", 1_000_000_000_000), ("12345678", 12_345_678_000), ("123456789", 123_456_789_000),
            ("99999999", 99_999_999_000), ("100000000000", 100_000_000_000), ("100000000000000", 100_000_000_000),
            ("100000000000000000", 100_000_000_000), ("-100000000000", -100_000_000_000),
            ("-1700000000123456", -1_700_000_000_124), ("1700000000.5", 1_700_000_000_500),
            ("1700000000.123", 1_700_000_000_123), ("1700000000.9999", 1_700_000_000_999),
            ("1.7e9", 1_700_000_000_000), ("1700000000123.9", 1_700_000_000_123), ("-0.5", -500), ("-0.0004", -1),
        ] as [(String, Int64)])
    func numbers(_ text: String, _ expected: Int64) {
        #expect(ms(text) == expected)
        // As text too, but for exponents and for decimals with a sign.
        if !text.contains("e"), !text.hasPrefix("-") || !text.contains(".") { #expect(ms("\"\(text)\"") == expected) }
    }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.999Z", -1), ("2024-02-29T12:00:00Z", 1_709_208_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000), ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000), ("2023-11-14T14:13:20-0800", 1_700_000_000_000),
            ("2023-11-15T03:43:20+05:30", 1_700_000_000_000), ("2023-11-14 22:13:20z", 1_700_000_000_000),
            ("2023-11-14t22:13:20.1Z", 1_700_000_000_100), ("2023-11-14T22:13:20.12Z", 1_700_000_000_120),
            ("2023-11-14T22:13:20,123Z", 1_700_000_000_123), ("2023-11-14T22:13:20.123999999Z", 1_700_000_000_123),
            ("2016-12-31T23:59:60Z", 1_483_228_799_999), ("2016-12-31T23:59:60.5Z", 1_483_228_799_999),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000), ("1900-03-01T00:00:00Z", -2_203_891_200_000),
            ("2023-11-14T22:13:20-00:00", 1_700_000_000_000),
        ] as [(String, Int64)])
    func internetTimes(_ text: String, _ expected: Int64) {
        #expect(ms("\"\(text)\"") == expected)
    }

    @Test(arguments: [
        "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2023-04-31T00:00:00Z", "2023-13-01T00:00:00Z",
        "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:61Z", "2023-01-01", "2023-01-01T", "2023-01-01T00:00Z", "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+24:00", "2023-01-01T00:00:00+1", "2023-01-01T00:00:00Zx", "2023-01-01T00:00:00 Z",
        "23-01-01T00:00:00Z", "2023/01/01T00:00:00Z", "yesterday", "1.2.3", ".", " 1700000000", "1700000000s", "", "-",
        "+1",
        "2023-01-01T00:00:00+01:00x", "١٧٠٠٠٠٠٠٠٠",
    ])
    func badTimes(_ text: String) {
        #expect(parse("\"\(text)\"", zone: "UTC").refusals == [.badTimestamp])
    }

    @Test func timesWithoutZoneNeedOne() {
        #expect(parse("\"2023-11-14T22:13:20\"").refusals == [.timestampWithoutZone])
        #expect(ms("\"2023-11-14T22:13:20\"", zone: "UTC") == 1_700_000_000_000)
        #expect(ms("\"2023-11-14T23:13:20\"", zone: "Europe/Berlin") == 1_700_000_000_000)
        #expect(ms("\"2023-07-01T14:00:00\"", zone: "Europe/Berlin") == 1_688_212_800_000)
        // A zone in the text wins.
        #expect(ms("\"2023-11-14T22:13:20Z\"", zone: "Europe/Berlin") == 1_700_000_000_000)
    }

    /// 2023-03-26 02:00 → 03:00 and 2023-10-29 03:00 → 02:00 in Berlin.
    @Test func hoursThatAreLeftOutOrComeTwice() {
        #expect(ms("\"2023-03-26T01:59:59\"", zone: "Europe/Berlin") == 1_679_792_399_000)
        #expect(ms("\"2023-03-26T02:30:00\"", zone: "Europe/Berlin") == 1_679_794_200_000)
        #expect(ms("\"2023-03-26T03:00:00\"", zone: "Europe/Berlin") == 1_679_792_400_000)
        #expect(ms("\"2023-10-29T01:59:59\"", zone: "Europe/Berlin") == 1_698_537_599_000)
        #expect(ms("\"2023-10-29T02:30:00\"", zone: "Europe/Berlin") == 1_698_539_400_000)
        #expect(ms("\"2023-10-29T03:00:00\"", zone: "Europe/Berlin") == 1_698_544_800_000)
    }

    @Test func theFutureIsRefusedBeyondADay() {
        let latest = testNowMs + 86_400_000
        #expect(ms("\(latest)") == latest)
        #expect(parse("\(latest + 1)").refusals == [.futureTimestamp])
        #expect(parse("\"9999-12-31T23:59:59Z\"").refusals == [.futureTimestamp])
        #expect(parse("99999999999").refusals == [.futureTimestamp])
        #expect(parse("9223372036854775807").refusals == [.futureTimestamp])
        #expect(ms("-9223372036854775808") == -9_223_372_036_855)
        #expect(ms("-62135596800000") == -62_135_596_800_000)
        #expect(parse("-62135596800001").refusals == [.badTimestamp])
        #expect(parse("-99999999999999").refusals == [.badTimestamp])
    }
}
