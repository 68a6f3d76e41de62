/// `--where`: every operator, quoting, and the types values take.

import EventStore
import EventStoreCLI
import Testing

@Suite("Where expressions")
struct WhereExpressionTests {
    private func parse(_ text: String) throws -> WhereExpression { try WhereExpression(parsing: text) }

    @Test(arguments: [
        ("=", EventFilter.Comparison.equal), ("==", .equal), ("!=", .notEqual), ("<", .less), ("<=", .lessOrEqual),
        (">", .greater), (">=", .greaterOrEqual),
    ])
    func comparisons(spelling: String, comparison: EventFilter.Comparison) throws {
        let expected = WhereExpression(name: "status", comparison: comparison, value: .integer(500))
        for text in ["status \(spelling) 500", "status\(spelling)500", "  status  \(spelling)  500  "] {
            #expect(try parse(text) == expected, "\(text)")
        }
    }

    @Test func bareValuesAlsoMatchText() throws {
        #expect(try parse("status = 200").bareText == "200")
        #expect(try parse("ok = true").bareText == "true")
        #expect(try parse("status = \"200\"").bareText == nil)
        #expect(try parse("level = error").bareText == nil)
    }

    @Test func textOperatorsTakeText() throws {
        #expect(
            try parse("path ~ 500") == WhereExpression(name: "path", comparison: .contains, value: .string("500")))
        #expect(
            try parse("path^=/api/")
                == WhereExpression(name: "path", comparison: .startsWith, value: .string("/api/")))
        #expect(try parse("ok ~ true").value == .string("true"))
        #expect(try parse("path ~ \"a b\"").value == .string("a b"))
    }

    @Test(arguments: [
        ("0", AttributeValue.integer(0)), ("-7", .integer(-7)), ("9223372036854775807", .integer(.max)),
        ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .double(9_223_372_036_854_775_808)),
        ("1.5", .double(1.5)), ("-0.25", .double(-0.25)), ("1e3", .double(1000)), ("2E-2", .double(0.02)),
        ("1.0", .double(1)), ("true", .bool(true)), ("false", .bool(false)),
    ])
    func typedValues(text: String, value: AttributeValue) throws { #expect(try parse("a = \(text)").value == value) }

    @Test(
        "What is not JSON's number is text",
        arguments: [
            "007", "+1", ".5", "1.", "0x10", "1e", "1_000", "NaN", "inf",
            "-", "1e999", "True", "null", "GET", "/wp-login.php", "a b", "10.0.0.1", "2026-11-23", "ünïcode",
        ])
    func bareText(text: String) throws { #expect(try parse("a = \(text)").value == .string(text)) }

    @Test func quotesForceText() throws {
        #expect(try parse("a = \"500\"").value == .string("500"))
        #expect(try parse("a = '500'").value == .string("500"))
        #expect(try parse("a = \"true\"").value == .string("true"))
        #expect(try parse("a = \"\"").value == .string(""))
        #expect(try parse("a = \" b \"").value == .string(" b "))
        #expect(try parse(#"a = "say \"hi\" \\ there""#).value == .string(#"say "hi" \ there"#))
        #expect(try parse("a = \"it's\"").value == .string("it's"))
        #expect(try parse("a = '\"'").value == .string("\""))
        #expect(try parse("a = '>= 5'").value == .string(">= 5"))
        #expect(try parse("a ~ '='").value == .string("="))
    }

    @Test func names() throws {
        #expect(try parse("req.method = GET").name == "req.method")
        #expect(try parse("payload.success=true").name == "payload.success")
        #expect(try parse("\"odd=name\" = 1").name == "odd=name")
        #expect(try parse("\" blank \" = 1").name == " blank ")
        #expect(try parse("two words = 1").name == "two words")
        #expect(try parse("größe > 3").name == "größe")
    }

    @Test func laterOperatorCharactersBelongToTheValue() throws {
        #expect(try parse("query = a=b&c=d").value == .string("a=b&c=d"))
        #expect(try parse("agent ~ compatible; +http").value == .string("compatible; +http"))
    }

    @Test(arguments: [
        "", "status", "= 5", "status =", "status = ", "status 500", "status ! 5", "status ^ 5", "status =< 5",
        "status <> 5", "status === 5", "status =~ x", "a = \"open", "a = 'open", "a = \"x\" y", "\"open = 5", "a ^ = b",
    ])
    func nonsenseIsRefused(text: String) {
        #expect(throws: WhereExpression.Problem.self) { try WhereExpression(parsing: text) }
    }
}
