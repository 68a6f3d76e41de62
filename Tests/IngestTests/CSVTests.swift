// CSV: quoting by RFC 4180, typed and untyped columns, fixed fields, refusals that cost one record.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct CSVTests {
    private static let header = "entity,event_type,timestamp"

    private func parse(_ text: String, _ options: InputOptions = testOptions()) throws -> Parsed {
        let bytes = Array(text.utf8)
        let end = bytes.firstIndex(of: 0x0a) ?? bytes.count
        let header = Array(bytes[..<end].filter { $0 != 0x0d })
        let body = Array(bytes[min(end + 1, bytes.count)...])
        let parser = try CSVParser(header: header, options: options, identity: PlainIdentity())
        parser.parseAll(body, firstLine: 2)
        return parser.finish()
    }

    /// The value of column `v` (with this type) for this field.
    private func value(_ field: String, _ type: String = "") throws -> Value? {
        let parsed = try parse("v\(type),\(CSVTests.header)\n\(field),a,t,1\n")
        #expect(parsed.rows.count == 1, "\(field) \(parsed.refusals)")
        return parsed.rows.first?.attributes["v"]
    }

    private func refusal(_ field: String, _ type: String = "") throws -> RefusalReason? {
        try parse("v\(type),\(CSVTests.header)\n\(field),a,t,1\n").refusals.first
    }

    @Test func fieldsAndAttributes() throws {
        let parsed = try parse(
            "entity,type,timestamp,id,actor.ip,\"odd, \"\"name\"\"\",received\r\n"
                + "a.example,t,2023-11-14T22:13:20Z,6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4,1.2.3.4,5,9\r\n"
                + "b.example,\"u\",1700000000,abc,,,\r\n")
        #expect(parsed.rows.count == 2 && parsed.report.read == 2 && parsed.report.refusedCount == 0)
        let first = parsed.rows[0]
        #expect(first.entity == "a.example" && first.type == "t" && first.timestamp == 1_700_000_000_000)
        #expect(first.id == EventID("6dcd1958-f3f6-4292-91d6-9ae38ae3eeb4"))
        #expect(first.attributes == ["actor.ip": .string("1.2.3.4"), "odd, \"name\"": .integer(5)])
        let second = parsed.rows[1]
        #expect(second.type == "u" && second.timestamp == 1_700_000_000_000 && second.flags == 0)
        #expect(second.attributes == ["event_id": .string("abc")])
    }

    @Test(arguments: [
        ("abc", Value.string("abc")), ("\"abc\"", .string("abc")), ("\"\"", .string("")),
        ("\"a\"\"b\"", .string("a\"b")),
        ("\"\"\"\"", .string("\"")), ("\"a,b\"", .string("a,b")), ("\"a\nb\r\nc\"", .string("a\nb\r\nc")),
        (" x ", .string(" x ")), ("é€😀", .string("é€😀")), ("1", .integer(1)), ("-1", .integer(-1)), ("0", .integer(0)),
        ("\"1\"", .string("1")), ("007", .string("007")), ("-0", .string("-0")), ("+1", .string("+1")),
        ("1.5", .number(1.5)), ("1.50", .string("1.50")), ("1.0", .number(1)), ("0.1", .number(0.1)),
        ("1e3", .string("1e3")), ("1e+300", .number(1e300)), (".5", .string(".5")), ("1.", .string("1.")),
        ("-0.0", .number(-0.0)), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .string("9223372036854775808")), ("1 ", .string("1 ")), ("1e999", .string("1e999")),
        ("true", .bool(true)), ("false", .bool(false)), ("\"true\"", .string("true")), ("True", .string("True")),
        ("-", .string("-")), ("1.2.3.4", .string("1.2.3.4")), ("2024-01-01", .string("2024-01-01")),
        ("[1]", .string("[1]")), ("null", .string("null")), ("0.30000000000000004", .number(0.30000000000000004)),
    ])
    func untypedFields(_ field: String, _ expected: Value) throws {
        #expect(try value(field) == expected)
        // The same as the last field of the last record, without a line feed.
        let parsed = try parse("\(CSVTests.header),v\na,t,1,\(field)")
        #expect(parsed.rows.first?.attributes["v"] == expected)
    }

    @Test(arguments: [
        ("1", ":integer", Value.integer(1)), ("\"1\"", ":integer", .integer(1)), ("1", ":double", .number(1)),
        ("1.50", ":double", .number(1.5)), ("\"-2e3\"", ":double", .number(-2000)), ("1", ":string", .string("1")),
        ("true", ":string", .string("true")), ("true", ":bool", .bool(true)), ("\"false\"", ":bool", .bool(false)),
        ("12345678901234567890", ":double", .number(12_345_678_901_234_567_168)), ("[]", ":json", .json("[]")),
        ("\"[1, \"\"a\"\", {\"\"b\"\":2}]\"", ":json", .json(#"[1,"a",{"b":2}]"#)),
        ("\"[1,\r2]\"", ":json", .json("[1,2]")),
    ])
    func typedFields(_ field: String, _ type: String, _ expected: Value) throws {
        #expect(try value(field, type) == expected)
    }

    @Test(arguments: [
        ("x", ":integer", RefusalReason.badValue), ("1.5", ":integer", .badValue), ("007", ":integer", .badValue),
        ("\"\"", ":integer", .badValue), ("9223372036854775808", ":integer", .integerRange),
        ("x", ":double", .badValue),
        ("1e999", ":double", .numberRange), ("1 ", ":double", .badValue), ("nan", ":double", .badValue),
        ("1", ":bool", .badValue), ("TRUE", ":bool", .badValue), ("{}", ":json", .badValue), ("[1", ":json", .badValue),
        ("\"\"", ":json", .badValue), ("[01]", ":json", .badValue), ("[] []", ":json", .badValue),
        ("1", ":json", .badValue),
        ("\"1\"\"\"", ":integer", .badValue),
    ])
    func badTypedFields(_ field: String, _ type: String, _ reason: RefusalReason) throws {
        #expect(try refusal(field, type) == reason)
    }

    @Test func absentFields() throws {
        for type in ["", ":string", ":integer", ":double", ":bool", ":json"] {
            #expect(try value("", type) == nil)
        }
    }

    @Test func typesBelongToNamesOnlyWhenTheyAreTypes() throws {
        let parsed = try parse("x:y,a:b:integer,\(CSVTests.header):string\n1,2,a,t,1")
        #expect(parsed.rows.first?.attributes == ["x:y": .integer(1), "a:b": .integer(2)])
        #expect(parsed.rows.first?.timestamp == 1000)
    }

    @Test(arguments: ["a,t,1", "a,t,1,2,3", "a,t,1,\"x", "a,t,1,\"x\"y", "a,t,1,x\"y", "a,t,1,\"x\" ", "a,t,1,x\"\""])
    func badRecords(_ record: String) throws {
        let parsed = try parse("\(CSVTests.header),v\na,t,1,x\n\(record)\n\na,t,2,\"y\"\n")
        #expect(parsed.refusals.first == .badCSV && parsed.report.first[0].line == 3)
        // Only an unclosed quote takes what follows with it.
        if record != "a,t,1,\"x" { #expect(parsed.rows.count == 2 && parsed.refusals.count == 1) }
    }

    @Test func refusalsNameLineAndColumn() throws {
        let parsed = try parse(
            "\(CSVTests.header),v:integer\na,t,1,\"1\"\na,t,1,\"\n\n\"\na,t,x,1\n,t,1,1\na,,1,1\na,t,,1\n")
        #expect(parsed.rows.count == 1)
        #expect(parsed.refusals == [.badValue, .badTimestamp, .noEntity, .noType, .noTimestamp])
        #expect(parsed.report.first.map(\.line) == [3, 6, 7, 8, 9])
        #expect(parsed.report.first[0].detail.hasSuffix("in column 4"))
    }

    @Test func invalidUTF8IsRefused() throws {
        let parser = try CSVParser(
            header: Array("\(CSVTests.header),v".utf8), options: testOptions(), identity: PlainIdentity())
        parser.parseAll(Array("a,t,1,".utf8) + [0xc3, 0x28] + Array("\na,t,1,é".utf8), firstLine: 2)
        let parsed = parser.finish()
        #expect(parsed.refusals == [.badUTF8] && parsed.rows.count == 1)
    }

    @Test func columnsThatComeTwice() throws {
        let parsed = try parse("\(CSVTests.header),v:integer,v:string,v\na,t,1,1,,\na,t,1,1,x,\na,t,1,1,x,y\n")
        #expect(parsed.rows.map { $0.attributes["v"] } == [.integer(1), .string("x"), .string("y")])
        #expect(parsed.report.duplicateKeys == 3)
    }

    @Test func exportsDropWhatTheStoreGivesAnew() throws {
        let parsed = try parse(
            "id,entity,type,timestamp,sequence,received,v\n,a,t,5000,1,2,3\n,a,t,1970-01-01T00:00:05Z,1,2,3")
        #expect(parsed.rows.map(\.timestamp) == [5000, 5000])
        #expect(
            parsed.rows.allSatisfy { $0.attributes == ["v": .integer(3)] && $0.flags == RowFlags.idFromLine.rawValue })
        let foreign = try parse("\(CSVTests.header),sequence,type_of,attributes\na,t,1,2,3,4")
        #expect(
            foreign.rows.first?.attributes == [
                "labels.sequence": .integer(2), "type_of": .integer(3), "labels.attributes": .integer(4),
            ])
    }

    @Test func theEntityMayComeFromTheOptions() throws {
        let options = testOptions(entity: "d.example")
        #expect(try parse("type,timestamp\nt,1", options).rows.first?.entity == "d.example")
        #expect(try parse("entity,type,timestamp\n,t,1\nx,t,1", options).rows.map(\.entity) == ["d.example", "x"])
    }

    @Test(arguments: [
        "event_type,timestamp", "entity,timestamp", "entity,type", "entity,type,timestamp,",
        "entity,type,timestamp,\"x",
        "entity;type;timestamp", "entity,type,timestamp,\"\"", "entity,type,timestamp,:integer",
    ])
    func badHeaders(_ header: String) {
        #expect(throws: Fault.self) { _ = try parse(header) }
    }

    @Test func linesWithoutIDGetOneOfTheirText() throws {
        let parsed = try parse("\(CSVTests.header),v\na,t,1,x\r\na,t,1,x\na,t,1,\"x\"\n")
        #expect(parsed.rows[0].id == parsed.rows[1].id && parsed.rows[0].id != parsed.rows[2].id)
        #expect(parsed.rows[0].flags == RowFlags.idFromLine.rawValue)
    }

    @Test func limits() throws {
        let names = (0..<257).map { "a\($0)" }.joined(separator: ",")
        let full = (0..<257).map { "\($0)" }.joined(separator: ",")
        #expect(try parse("\(CSVTests.header),\(names)\na,t,1,\(full)").refusals == [.tooManyAttributes])
        #expect(try parse("\(CSVTests.header),\(names)\na,t,1,\(full.dropLast(3))").rows.count == 1)
        let long = String(repeating: "x", count: 65_536)
        #expect(try parse("\(CSVTests.header),v\na,t,1,\(long)").rows.count == 1)
        #expect(try parse("\(CSVTests.header),v\na,t,1,\(long)x").refusals == [.valueTooLong])
        #expect(
            try parse("\(CSVTests.header),v,w,x,y,z\na,t,1,\(long),\(long),\(long),\(long),1").refusals == [
                .eventTooLarge
            ])
    }

    @Test func mutationsNeverTrap() throws {
        var random = TestRandom()
        let text = "a,t,1,x,\"y \"\"z\"\"\",3,[1],true\nb,u,2023-11-14T22:13:20Z,,\"\n\",1.5,\"[\"\"é\"\"]\",\r\n"
        let parser = try CSVParser(
            header: Array("\(CSVTests.header),v,w,x:double,y:json,z:bool".utf8), options: testOptions(),
            identity: PlainIdentity())
        let interesting: [UInt8] = [0x0a, 0x0d, 0x22, 0x22, 0x2c, 0x2c, 0x5b, 0x5c, 0xc3, 0x00, 0x2d, 0x31]
        for _ in 0..<6000 {
            var bytes = Array(text.utf8)
            for _ in 0...random.below(5) {
                let place = random.below(bytes.count)
                if random.below(2) == 0 { bytes[place] = random.pick(interesting) } else { bytes.remove(at: place) }
            }
            parser.parseAll(Array(bytes.prefix(random.below(bytes.count + 1))))
        }
        #expect(parser.rowCount > 0)
    }
}
