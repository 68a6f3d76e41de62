// Limits of names, values, events and lines: at the limit accepted, beyond it refused under the right word.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct LimitTests {
    private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

    private func many(_ count: Int) -> String { (0..<count).map { "\"a\($0)\":\($0)" }.joined(separator: ",") }

    @Test func attributesOfAnEvent() {
        #expect(attributes(many(256))?.count == 256)
        #expect(parseJSON(event(many(257))).refusals == [.tooManyAttributes])
        #expect(attributes(many(256) + ",\"n\":null")?.count == 256)
        #expect(parseJSON(event(many(256) + ",\"n\":[]")).refusals == [.tooManyAttributes])
        // A repeated name does not count twice.
        #expect(attributes(many(256) + ",\"a3\":1")?.count == 256)
        // The text of an id that is no UUID is an attribute too.
        #expect(parseJSON(event(many(256) + ",\"id\":\"abc\"")).refusals == [.tooManyAttributes])
        #expect(parseJSON(event(many(20_000))).report.refusedCount == 1)
        let nulls = (0..<20_000).map { "\"a\($0 % 3)\":null" }.joined(separator: ",")
        #expect(parseJSON(event(nulls)).refusals == [.tooManyAttributes])
    }

    @Test func names() {
        #expect(attributes("\"\(text(200))\":1") != nil)
        #expect(parseJSON(event("\"\(text(201))\":1")).refusals == [.attributeName])
        #expect(parseJSON(event("\"\":1")).refusals == [.attributeName])
        #expect(attributes("\"\(text(100))\":{\"\(text(99))\":1}") != nil)
        #expect(parseJSON(event("\"\(text(100))\":{\"\(text(100))\":1}")).refusals == [.attributeName])
        #expect(attributes("\"labels\":{\"\(text(200))\":1}") != nil)
        for (entity, type, reason) in [
            (200, 100, nil), (201, 100, RefusalReason.badEntity), (200, 101, .badType),
        ] as [(Int, Int, RefusalReason?)] {
            let parsed = parseJSON(#"{"entity":"\#(text(entity))","type":"\#(text(type))","timestamp":1}"#)
            #expect(parsed.refusals == (reason.map { [$0] } ?? []))
        }
    }

    @Test func values() {
        #expect(attributes("\"v\":\"\(text(65_536))\"") == ["v": .string(text(65_536))])
        #expect(parseJSON(event("\"v\":\"\(text(65_537))\"")).refusals == [.valueTooLong])
        let euros = String(repeating: "€", count: 21_845)
        #expect(attributes("\"v\":\"\(euros)x\"") == ["v": .string(euros + "x")])
        #expect(parseJSON(event("\"v\":\"\(euros)xx\"")).refusals == [.valueTooLong])
        let escapes = String(repeating: "\\n", count: 65_536)
        #expect(attributes("\"v\":\"\(escapes)\"") == ["v": .string(String(repeating: "\n", count: 65_536))])
        #expect(parseJSON(event("\"v\":\"\(escapes)\\n\"")).refusals == [.valueTooLong])
        let list = "[" + String(repeating: "1,", count: 32_767) + "1]"
        #expect(attributes("\"v\":\(list)") == nil)
        #expect(parseJSON(event("\"v\":\(list)")).refusals == [.valueTooLong])
        #expect(attributes("\"v\":[\"\(text(65_532))\"]") != nil)
    }

    @Test func events() {
        let five = (0..<5).map { "\"\($0)\":\"\(text(52_427))\"" }.joined(separator: ",")
        // 5 names + 5 × 52,427 = 262,140 of 262,144.
        #expect(attributes(five) != nil)
        #expect(attributes(five + ",\"v\":\"abc\"") != nil)
        #expect(parseJSON(event(five + ",\"v\":\"abcd\"")).refusals == [.eventTooLarge])
    }

    @Test func lines() {
        let spaces = String(repeating: " ", count: Limits.lineBytesMax - event("").utf8.count)
        let line = String(event("").dropLast()) + spaces + "}"
        #expect(parseJSON(line).rows.count == 1)
        let parsed = parseJSON(event("") + "\n" + line.dropLast() + " }\n" + event(""))
        #expect(parsed.rows.count == 2 && parsed.refusals == [.lineTooLong] && parsed.report.first[0].line == 2)
    }

    @Test func refusedEventsLeaveNoTrace() {
        let parser = NDJSONParser(options: testOptions(), identity: PlainIdentity())
        parser.parseAll(Array((event("\"kept\":\"a\"") + "\n" + event("\"gone\":\"secret\",\"v\":tru")).utf8))
        let batch = parser.takeBatch()
        #expect(batch.rowCount == 1 && batch.strings.count == 1 && batch.attributes.count == 1)
    }

    @Test func theReportKeepsCountsAndTheFirstRefusals() {
        let lines = (1...50).map { $0 % 2 == 0 ? "x" : event("") }.joined(separator: "\n")
        let parsed = parseJSON(lines)
        #expect(parsed.report.read == 50 && parsed.report.refused == [.badJSON: 25])
        #expect(parsed.report.first.map(\.line) == Array(stride(from: 2, through: 40, by: 2)))
        var merged = parseJSON("\n\n\n" + lines).report
        merged.merge(parsed.report)
        #expect(merged.read == 100 && merged.first.count == ParseReport.firstMax)
        #expect(merged.first.map(\.line).max() ?? 99 < 30)
    }
}
