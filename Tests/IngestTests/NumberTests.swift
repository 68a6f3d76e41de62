// Numbers at every boundary, and doubles against the C library's conversion.

import EventStoreCore
import EventStoreIngest
import Foundation
import Testing

@Suite struct NumberTests {
    @Test func integersAtTheirBoundaries() {
        var expected: [Int64] = [.max, .min, .max - 1, .min + 1, 0, 1, -1]
        var power: Int64 = 1
        for _ in 0..<18 {
            power *= 10
            expected += [power, power - 1, power + 1, -power, 1 - power, -1 - power]
        }
        for shift in 0..<63 { expected += [1 << shift, (1 << shift) - 1, -(1 << shift)] }
        for value in expected {
            #expect(attributes("\"v\":\(value)") == ["v": .integer(value)])
            #expect(attributes("\"v\":\(value),\"w\":1")?["v"] == .integer(value))
        }
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
        "10000000000000000000", "99999999999999999999", "-99999999999999999999999999999999",
    ])
    func integersBeyond64BitsAreRefused(_ text: String) {
        #expect(parseJSON(event("\"v\":\(text)")).refusals == [.integerRange])
    }

    @Test(arguments: [
        "1e308", "1.7976931348623157e308", "-1.7976931348623157e308", "1.7976931348623158e308", "4.9e-324", "5e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072014e-308", "2.2250738585072011e-308",
        "1e-400", "-1e-400", "0.1", "0.30000000000000004", "123456789012345678.0", "9007199254740993.0",
        "9007199254740992.9999999999999999999999999999", "1e22", "1e23", "8.5e22", "1.0e-22", "1.1e-23",
        "0.000001", "1e0", "1E5", "1e-0", "100000000000000000000.0", "1.00000000000000000000000000000000001",
        "0.00000000000000000000000000000000000000000000000000000000000000001", "179769313486231570000e288",
        "6929495644600919.5", "3.1415926535897931", "0e99999", "-0.0e-99999", "72057594037927945.0",
    ])
    func doublesMatchTheLibrary(_ text: String) {
        #expect(attributes("\"v\":\(text)") == ["v": .double(strtod(text, nil).bitPattern)])
    }

    @Test(arguments: [
        "1e309", "-1e309", "1.7976931348623159e308", "1e99999", "123456789e400", "1e999999999999999999999",
    ])
    func doublesBeyondTheRangeAreRefused(_ text: String) {
        #expect(parseJSON(event("\"v\":\(text)")).refusals == [.numberRange])
    }

    @Test func longNumbers() {
        let zeros = String(repeating: "0", count: 5000)
        #expect(attributes("\"v\":1\(zeros).5e-5000") == ["v": .number(1)])
        #expect(attributes("\"v\":0.\(zeros)1e5001") == ["v": .number(1)])
        #expect(parseJSON(event("\"v\":1\(zeros)")).refusals == [.integerRange])
        let digits = String(repeating: "1234567890", count: 100)
        #expect(attributes("\"v\":0.\(digits)") == ["v": .double(strtod("0.\(digits)", nil).bitPattern)])
    }

    /// All bit patterns, written with 17 digits and in the shortest form, come back bit by bit.
    @Test func randomDoublesRoundTrip() {
        var random = TestRandom()
        for round in 0..<6_000 {
            let value = round % 2 == 0 ? Double(bitPattern: random.next()) : Double(random.below(1_000_000)) / 1000
            guard value.isFinite else { continue }
            var shortest = "\(value)"
            if !shortest.contains(".") && !shortest.contains("e") { shortest += ".0" }
            for text in [shortest, String(format: "%.16e", value), String(format: "%.17g", value) + "e0"] {
                guard !(text.hasSuffix("e0") && text.dropLast(2).contains("e")) else { continue }
                #expect(attributes("\"v\":\(text)") == ["v": .double(value.bitPattern)], "seed \(random.seed) \(text)")
            }
        }
    }

    /// Texts of any number of digits and any exponent read as `strtod` reads them.
    @Test func randomTextsMatchTheLibrary() {
        var random = TestRandom()
        for _ in 0..<10_000 {
            var text = random.below(2) == 0 ? "-" : ""
            text += "\(random.below(9) + 1)"
            for _ in 0..<random.below(random.pick([3, 25])) { text += "\(random.below(10))" }
            text += "."
            for _ in 0..<random.below(random.pick([3, 25])) + 1 { text += "\(random.below(10))" }
            if random.below(2) == 0 { text += "e\(random.below(640) - 340)" }
            let expected = strtod(text, nil)
            let parsed = parseJSON(event("\"v\":\(text)"))
            if expected.isFinite {
                let found = parsed.rows.first?.attributes
                #expect(found == ["v": .double(expected.bitPattern)], "seed \(random.seed) \(text)")
            } else {
                #expect(parsed.refusals == [.numberRange], "seed \(random.seed) \(text)")
            }
        }
    }
}
