// What RFC 8259 accepts and refuses, in the categories of the JSON test suites: structure, strings, numbers,
// white space, encoding. One event a line stands around each case.

import EventStoreCore
import EventStoreIngest
import Testing

@Suite struct JSONSyntaxTests {
    @Test(arguments: [
        (#""v":"""#, Value.string("")),
        (#""v":"a""#, .string("a")),
        (#""v":"\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{c}\n\r\t")),
        (#""v":"\u0041\u00e9\u20AC""#, .string("Aé€")),
        (#""v":"\uD83D\uDE00""#, .string("😀")),
        (#""v":"\u0000""#, .string("\0")),
        (#""v":"\u007f\uffff""#, .string("\u{7f}\u{ffff}")),
        (#""v":"é€😀""#, .string("é€😀")),
        (#""v":"😀\n😀""#, .string("😀\n😀")),
        (#""v":"\u2028""#, .string("\u{2028}")),
        (#""v":true"#, .bool(true)),
        (#""v":false"#, .bool(false)),
        (#""v":0"#, .integer(0)),
        (#""v":-0"#, .integer(0)),
        (#""v":-1"#, .integer(-1)),
        (#""v":1e3"#, .number(1000)),
        (#""v":1E+2"#, .number(100)),
        (#""v":1.0"#, .number(1)),
        (#""v":-0.0"#, .number(-0.0)),
        (#""v":0e1"#, .number(0)),
        (#""v" : 1 "#, .integer(1)),
        ("\"v\"\t:\t1\r", .integer(1)),
        (#""v":[]"#, .json("[]")),
        (#""v":[ 1 , "a b" , null ]"#, .json(#"[1,"a b",null]"#)),
        (#""v":[[],[{}],{"a":[1]}]"#, .json(#"[[],[{}],{"a":[1]}]"#)),
        (#""v":["\" ]",-1.5e-3]"#, .json(#"["\" ]",-1.5e-3]"#)),
        (#""\u0076":1"#, .integer(1)),
    ])
    func accepts(_ members: String, _ expected: Value) {
        #expect(attributes(members) == ["v": expected])
    }

    @Test(arguments: [
        #""v":"#, #""v""#, #""v":,"#, #""v" 1"#, #"v:1"#, #"'v':1"#, #""v":1,"#, #",""v":1"#, #""v":1 "w":2"#,
        #""v":1;"w":2"#, #""v":tru"#, #""v":True"#, #""v":nul"#, #""v":nulll"#, #""v":truee"#, #""v":NaN"#,
        #""v":Infinity"#, #""v":-"#, #""v":+1"#, #""v":01"#, #""v":-01"#, #""v":1."#, #""v":.5"#, #""v":1e"#,
        #""v":1e+"#, #""v":1.e1"#, #""v":0x1"#, #""v":1_000"#, #""v":1a"#, #""v":--1"#, #""v":1.2.3"#, #""v":1ee1"#,
        #""v":00"#, #""v":12345678901."#, #""v":"a"#, #""v":"\x""#, #""v":"\u12""#, #""v":"\u12g4""#,
        #""v":"\uD800""#, #""v":"\uDC00""#, #""v":"\uD800\uD800""#, #""v":"\uD800\n""#, #""v":"\uD800a""#,
        #""v":"\"#, #""v":'a'"#, #""v":a"#, #""v":[1,]"#, #""v":[,1]"#, #""v":[1"#, #""v":[1}"#, #""v":[1 2]"#,
        #""v":[01]"#, #""v":["a"#, #""v":[tru]"#, #""v":[{"a"}]"#, #""v":[{1:2}]"#, #""v":[{"a":1,}]"#,
        #""v":["\uD800"]"#, #""v":[1.]"#, #""v":]"#, #""v":{"#, #""v":{"a":1"#, #""v":{"a":1,}"#, #""v":{,}"#,
        #""v":{"a"}"#, #""v":{1:1}"#, #""v":1}"#, #""v":1]"#, #""v":{}}"#, "\"v\":\"\t\"", "\"v\":\"\0\"",
        "\"v\":\"\u{1f}\"", "\"v\":\u{c}1", "\"v\":\u{a0}1", #""v":1/**/"#, #""v":1//"#, #"/**/"v":1"#, #""v":1#"#,
    ])
    func refuses(_ members: String) {
        let parsed = parseJSON(event(members))
        #expect(parsed.rows.isEmpty)
        #expect(parsed.refusals == [.badJSON])
        #expect(parsed.report.first.first?.line == 1)
    }

    @Test(arguments: [
        "[]", "[1]", "1", "\"a\"", "null", "true", "{", "}", "{]", "{\"a\"", "x", "\u{feff}\u{feff}{}", "{}{}", "{},",
        "\u{c}{}", "{{}}", "{\"entity\":{}{}}",
    ])
    func refusesOtherLines(_ line: String) {
        let parsed = parseJSON(line)
        #expect(parsed.rows.isEmpty)
        #expect(parsed.report.refusedCount == 1)
        let isJustEmpty = parsed.refusals == [.noEntity]
        #expect(parsed.refusals == [.badJSON] || isJustEmpty)
    }

    @Test func textBehindTheObjectIsRefused() {
        for rest in ["x", ",", "{}", " 1", "\0"] {
            #expect(parseJSON(event("") + rest).refusals == [.badJSON], "\(rest)")
        }
        #expect(parseJSON(event("") + " \t\r").rows.count == 1)
    }

    /// Invalid UTF-8 of every kind, in values, names, arrays and at the end of the text.
    @Test(
        arguments: [
            [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc3], [0xc3, 0x28], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf],
            [0xe2, 0x82], [0xe2, 0x28, 0xa1], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80],
            [0xf0, 0x9f, 0x98], [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xfe],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bad: [UInt8]) {
        for (before, after) in [("\"v\":\"", "\""), ("\"v\":\"aé\\n", "z\""), ("\"", "\":1"), ("\"v\":[\"", "\"]")] {
            let lines = event("") + "\n" + event(before)
            let bytes = Array(lines.utf8.dropLast()) + bad + Array((after + "}\n" + event("")).utf8)
            let parsed = parseJSON(bytes)
            #expect(parsed.rows.count == 2)
            #expect(parsed.refusals == [.badUTF8])
            #expect(parsed.report.first.first?.line == 2)
        }
    }

    @Test func everyScalarComesThroughEscapedAndPlain() {
        for value: UInt32 in [0x20, 0x7e, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff] {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(Character(scalar))
            let escaped = text.utf16.map { unit in
                let hex = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            }.joined()
            #expect(attributes("\"v\":\"\(text)\"") == ["v": .string(text)])
            #expect(attributes("\"v\":\"x\(escaped)y\"") == ["v": .string("x\(text)y")])
        }
    }

    @Test func nestingUpToTheLimit() {
        func nested(_ depth: Int) -> String {
            "\"v\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        // The event itself is the first level.
        #expect(parseJSON(event(nested(Limits.jsonDepthMax - 1))).rows.count == 1)
        #expect(parseJSON(event(nested(Limits.jsonDepthMax))).refusals == [.tooDeep])
        #expect(parseJSON(event(nested(100_000))).refusals == [.tooDeep])
        func objects(_ depth: Int) -> String {
            String(repeating: "\"a\":{", count: depth) + "\"v\":1" + String(repeating: "}", count: depth)
        }
        #expect(parseJSON(event(objects(Limits.jsonDepthMax - 1))).rows.count == 1)
        #expect(parseJSON(event(objects(Limits.jsonDepthMax))).refusals == [.tooDeep])
        #expect(parseJSON(event(objects(50_000))).report.refusedCount == 1)
    }
}
