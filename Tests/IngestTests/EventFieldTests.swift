// What becomes of an event's members: fixed fields, both envelopes, flattening, names that clash, keys that come
// twice, ids.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct EventFieldTests {
    private static let id = EventID("6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4")

    @Test func collectorEnvelope() throws {
        let line = """
            {"event_id":"6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4","entity":"a.example","event_type":"auth.attempt",\
            "timestamp":1700000000123,"created_at":"2023-11-14","labels":{"ip":"1.2.3.4","n":1},\
            "payload":{"success":true,"actor":{"name":"x","none":null},"empty":{},"list":[1, 2]}}
            """
        let row = try #require(parseJSON(line).rows.first)
        #expect(row.entity == "a.example" && row.type == "auth.attempt" && row.timestamp == 1_700_000_000_123)
        #expect(row.id == EventFieldTests.id && row.flags == 0)
        #expect(
            row.attributes == [
                "created_at": .string("2023-11-14"), "ip": .string("1.2.3.4"), "n": .integer(1),
                "payload.success": .bool(true), "payload.actor.name": .string("x"), "payload.list": .json("[1,2]"),
            ])
    }

    @Test func ownEnvelope() throws {
        let line = """
            {"id":"6DCD1958-F3F6-4292-91D6-9AE38AE3EEB4","entity":"a.example","type":"t","timestamp":1700000000123,\
            "attributes":{"req":{"method":"GET"},"actor.ip":"1.2.3.4","labels.type":"x"}}
            """
        let row = try #require(parseJSON(line).rows.first)
        #expect(row.id == EventFieldTests.id && row.type == "t")
        let expected: [String: Value] = [
            "req.method": .string("GET"), "actor.ip": .string("1.2.3.4"), "labels.type": .string("x"),
        ]
        #expect(row.attributes == expected)
    }

    @Test func labelsNamedLikeFixedFields() throws {
        let names = ["id", "entity", "type", "timestamp", "sequence", "received", "attributes"]
        let labels = names.map { "\"\($0)\":1" }.joined(separator: ",")
        let expected = Dictionary(uniqueKeysWithValues: names.map { ("labels." + $0, Value.integer(1)) })
        #expect(attributes("\"labels\":{\(labels)}") == expected)
        // A scalar `attributes` at the top is an attribute; `event_type` and `event_id` within labels are too.
        #expect(attributes("\"attributes\":1") == ["labels.attributes": .integer(1)])
        #expect(attributes("\"labels\":{\"event_id\":1}") == ["event_id": .integer(1)])
        #expect(attributes("\"x\":{\"type\":1}") == ["x.type": .integer(1)])
    }

    @Test func eventsOfAnExportDropWhatTheStoreGivesAnew() throws {
        let line = """
            {"id":"6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4","entity":"a","type":"t","timestamp":5000,"sequence":17,\
            "received":1700000000000,"attributes":{"v":1}}
            """
        let row = try #require(parseJSON(line).rows.first)
        // With both, the timestamp is in milliseconds whatever its size.
        #expect(row.timestamp == 5000 && row.attributes == ["v": .integer(1)])
        let foreign = attributes("\"sequence\":17,\"received\":18")
        #expect(foreign == ["labels.sequence": .integer(17), "labels.received": .integer(18)])
    }

    @Test func idsOfAllKinds() throws {
        let identity = PlainIdentity()
        func text(_ text: String) -> EventID {
            EventID.version8(hash: Array(text.utf8).withUnsafeBytes { identity.textID($0) })
        }
        for (members, key) in [
            (#""event_id":"abc""#, "abc"), (#""id":"abc""#, "abc"), (#""id":17"#, "17"), (#""id":-5"#, "-5"),
            (#""id":123456789012345678901234567890"#, "123456789012345678901234567890"), (#""id":"\u0061bc""#, "abc"),
        ] {
            let row = try #require(parseJSON(event(members)).rows.first)
            #expect(row.id == text(key) && row.flags == 0)
            #expect(row.attributes == ["event_id": .string(key)])
        }
        for members in ["", #""event_id":null"#, #""id":"""#] {
            let row = try #require(parseJSON(event(members) + "  \r\n").rows.first)
            let line = Array(event(members).utf8)
            let hash = Array("a.example".utf8).withUnsafeBytes { entity in
                line.withUnsafeBytes { identity.lineID(entity: entity, line: $0) }
            }
            #expect(row.id == .version8(hash: hash) && row.flags == RowFlags.idFromLine.rawValue)
            #expect(row.id.high >> 12 & 15 == 8 && row.id.low >> 62 == 2)
        }
        for members in [#""id":1.5"#, #""id":true"#, #""id":[1]"#] {
            #expect(parseJSON(event(members)).refusals == [.badID])
        }
        // An id with an escape is still a UUID.
        let escaped = #""id":"\u0036dcd1958-f3f6-4292-91d6-9ae38ae3eeb4""#
        #expect(parseJSON(event(escaped)).rows.first?.id == EventFieldTests.id)
        #expect(parseJSON(event(escaped)).rows.first?.attributes == [:])
    }

    /// Every byte at every place of a UUID: read as `EventID(text:)` reads it, or kept as text.
    @Test func uuidsAndWhatIsNone() throws {
        let text = Array("6dcd1958-f3f6-4292-91D6-9AE38AE3EEB4".utf8)
        var lines: [[UInt8]] = []
        for place in text.indices {
            for byte in UInt8(0x20)...0x7e where byte != 0x22 && byte != 0x5c {
                var changed = text
                changed[place] = byte
                lines.append(changed)
            }
        }
        let input = lines.map { event("\"id\":\"\(String(decoding: $0, as: UTF8.self))\"") }
        let found = parseJSON(input.joined(separator: "\n")).rows
        #expect(found.count == lines.count)
        for (line, row) in zip(lines, found) {
            let expected = line.withUnsafeBytes { EventID(text: $0) }
            if let expected {
                #expect(row.id == expected && row.attributes.isEmpty)
            } else {
                #expect(row.attributes == ["event_id": .string(String(decoding: line, as: UTF8.self))])
            }
        }
    }

    @Test(arguments: [
        (#"{"event_type":"t","timestamp":1}"#, RefusalReason.noEntity),
        (#"{"entity":null,"event_type":"t","timestamp":1}"#, .noEntity),
        (#"{"entity":"","event_type":"t","timestamp":1}"#, .badEntity),
        (#"{"entity":1,"event_type":"t","timestamp":1}"#, .badEntity),
        (#"{"entity":"a","timestamp":1}"#, .noType),
        (#"{"entity":"a","type":null,"timestamp":1}"#, .noType),
        (#"{"entity":"a","type":"","timestamp":1}"#, .badType),
        (#"{"entity":"a","type":[],"timestamp":1}"#, .badType),
        (#"{"entity":"a","type":"t"}"#, .noTimestamp),
        (#"{"entity":"a","type":"t","timestamp":null}"#, .noTimestamp),
        (#"{"entity":"a","type":"t","timestamp":true}"#, .badTimestamp),
        (#"{"entity":"a","type":"t","timestamp":""}"#, .badTimestamp),
        (#"{"entity":"a","type":"t","timestamp":{}}"#, .noTimestamp),
        (#"{"entity":"a","type":"t","timestamp":99999999999999999999}"#, .badTimestamp),
        (#"{"entity":"a","type":"t","timestamp":"2024-01-01T00:00:00"}"#, .timestampWithoutZone),
        (#"{}"#, .noEntity),
    ])
    func missingAndBadFields(_ line: String, _ reason: RefusalReason) {
        #expect(parseJSON(line).refusals == [reason])
    }

    @Test func theDefaultEntityStandsInForNone() {
        let parsed = parseJSON(#"{"event_type":"t","timestamp":1}"#, testOptions(entity: "d.example"))
        #expect(parsed.rows.first?.entity == "d.example")
        let other = parseJSON(event(""), testOptions(entity: "d.example"))
        #expect(other.rows.first?.entity == "a.example")
    }

    @Test func nullsAndEmptyObjectsAreAbsent() {
        #expect(attributes(#""a":null,"b":{},"c":{"d":{},"e":null},"labels":{},"payload":null"#) == [:])
    }

    // MARK: Keys that come twice

    @Test(arguments: [
        (#""v":1,"v":2"#, ["v": Value.integer(2)], 1),
        (#""v":1,"v":"x","v":true"#, ["v": .bool(true)], 2),
        (#""v":1,"v":null"#, [:], 1),
        (#""v":null,"v":1"#, ["v": .integer(1)], 1),
        (#""labels":{"v":1},"v":2"#, ["v": .integer(2)], 1),
        (#""a":{"b":1},"a.b":2"#, ["a.b": .integer(2)], 1),
        (#""a.b":2,"a":{"b":1}"#, ["a.b": .integer(1)], 1),
        (#""a":{"b":1},"a":{"c":2}"#, ["a.c": .integer(2)], 1),
        (#""a":{"b":1,"x":1},"a":{"b":2}"#, ["a.b": .integer(2)], 1),
        (#""a":{"b":1},"a":5"#, ["a": .integer(5)], 1),
        (#""a":5,"a":{"b":1}"#, ["a.b": .integer(1)], 1),
        (#""a":{"b":1},"a":5,"a":{"c":1}"#, ["a.c": .integer(1)], 2),
        (#""a":{"b":{"c":1}},"a":{"b":{"d":1}}"#, ["a.b.d": .integer(1)], 1),
        (#""a":{"b":1},"a":null"#, [:], 1),
        (#""entity":"b.example""#, [:], 1),
    ])
    func theLastOneWins(_ members: String, _ expected: [String: Value], _ duplicates: Int) throws {
        // Once with structure learned on the way, again with all of it known.
        for text in [event(members), event(members) + "\n" + event("\"z\":1") + "\n" + event(members)] {
            let parsed = parseJSON(text)
            #expect(parsed.rows.last?.attributes == expected)
            #expect(parsed.report.duplicateKeys == duplicates * (parsed.rows.count == 1 ? 1 : 2))
        }
    }

    @Test func fixedFieldsMayComeInAnyOrderAndTwice() throws {
        let line = #"{"v":1,"timestamp":1,"timestamp":2,"type":"a","event_type":"b","w":2,"entity":"x","entity":"y"}"#
        let parsed = parseJSON(line)
        let row = try #require(parsed.rows.first)
        #expect(row.entity == "y" && row.type == "b" && row.timestamp == 2000)
        #expect(row.attributes == ["v": .integer(1), "w": .integer(2)])
        #expect(parsed.report.duplicateKeys == 3)
    }
}
