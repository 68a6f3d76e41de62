// The parser learns the structure of lines. What it has learned, where its input is cut, and what else it reads
// must never change a row: lines alone, together, in another order and in pieces give the same.

import EventStoreCore
import EventStoreIngest
import Foundation
import Testing

/// Random event lines, with structure that repeats and varies.
struct LineMaker {
    var random: TestRandom
    private let keys = ["a", "b", "status", "user agent", "x\\\"y", "\\u00e9", "id2", "a.b", "n"]

    init(seed: UInt64? = nil) { random = TestRandom(seed: seed) }

    mutating func line() -> String {
        var members = [
            "\"entity\":\"site-\(random.below(4))\"", "\"timestamp\":\(1_700_000_000_000 + random.below(1000))",
        ]
        members.append("\"\(random.pick(["event_type", "event_type", "type"]))\":\"t\(random.below(3))\"")
        if random.below(3) == 0 { members.append("\"event_id\":\"\(random.below(5))\"") }
        for _ in 0..<random.below(6) { members.append("\"\(random.pick(keys))\":\(value(0))") }
        if random.below(2) == 0 { members.append("\"labels\":\(object(1))") }
        if random.below(4) == 0 { members.append("\"attributes\":\(object(1))") }
        if random.below(3) == 0 { members.shuffle(using: &random) }
        return "{" + members.joined(separator: random.below(8) == 0 ? " , " : ",") + "}"
    }

    private mutating func object(_ depth: Int) -> String {
        let members = (0..<random.below(5)).map { _ in "\"\(random.pick(keys))\"\(space()):\(space())\(value(depth))" }
        return "{" + space() + members.joined(separator: ",") + "}"
    }

    private mutating func space() -> String { random.below(12) == 0 ? " " : "" }

    private mutating func value(_ depth: Int) -> String {
        switch random.below(10) {
        case 0: "null"
        case 1: random.pick(["true", "false"])
        case 2: "\(random.below(1_000_000_000) - 1000)"
        case 3: "\(Double(random.below(1_000_000)) / 1000)e\(random.below(8))"
        case 4 where depth < 5: object(depth + 1)
        case 5: random.pick(["[]", "[1,2]", "[ \"a\" , {\"b\":null} ]"])
        case 6: "\"\(random.pick(["é", "\\n\\t", "\\ud83d\\ude00", "", "long text without any escape at all"]))\""
        default: "\"v\(random.below(6))\""
        }
    }
}

@Suite struct StructureTests {
    @Test func whatWasLearnedChangesNothing() {
        var maker = LineMaker()
        let lines = (0..<1500).map { _ in maker.line() }
        let alone = lines.map { parseJSON($0) }
        let together = parseJSON(lines.joined(separator: "\n"))
        #expect(together.rows == alone.flatMap(\.rows), "seed \(maker.random.seed)")
        #expect(together.report.duplicateKeys == alone.reduce(0) { $0 + $1.report.duplicateKeys })
        #expect(together.report.refusedCount == 0)
        let order = lines.indices.shuffled(using: &maker.random)
        let shuffled = parseJSON(order.map { lines[$0] }.joined(separator: "\n"))
        #expect(shuffled.rows == order.flatMap { alone[$0].rows }, "seed \(maker.random.seed)")
    }

    @Test func cutsChangeNothing() {
        var maker = LineMaker()
        let bytes = Array((0..<12).map { _ in maker.line() }.joined(separator: "\n").utf8)
        let whole = parseJSON(bytes).rows
        for cut in 0...bytes.count {
            let lineEnd = bytes[cut...].firstIndex(of: 0x0a).map { $0 + 1 } ?? bytes.count
            let parser = NDJSONParser(options: testOptions(), identity: PlainIdentity())
            parser.parseAll(Array(bytes[..<lineEnd]))
            parser.parseAll(Array(bytes[lineEnd...]), firstLine: 2)
            #expect(rows(of: parser.takeBatch()) == whole, "seed \(maker.random.seed) cut \(cut)")
        }
    }

    @Test func rowLimitsAndBatchesChangeNothing() {
        var maker = LineMaker()
        let bytes = Array((0..<300).map { _ in maker.line() }.joined(separator: "\r\n\n").utf8)
        let whole = parseJSON(bytes).rows
        let parser = NDJSONParser(options: testOptions(), identity: PlainIdentity())
        var found: [Row] = []
        bytes.withUnsafeBytes { all in
            var position = 0
            var line = 1
            while position < all.count {
                let rest = UnsafeRawBufferPointer(rebasing: all[position...])
                let progress = parser.parse(rest, firstLine: line, rowLimit: maker.random.below(7) + 1)
                position += progress.bytes
                line += progress.lines
                found += rows(of: parser.takeBatch())
            }
            // The last line has no line feed.
            #expect(line == 600)
        }
        #expect(found == whole, "seed \(maker.random.seed)")
    }

    /// Far more structure than is kept: the parser forgets and goes on.
    @Test func muchStructureIsForgotten() {
        var lines: [String] = []
        for index in 0..<3000 {
            let members = (0..<16).map { "\"k\(index)_\($0)\":\($0)" }.joined(separator: ",")
            lines.append(#"{"entity":"e\#(index)","type":"t\#(index)","timestamp":1,\#(members)}"#)
        }
        let parsed = parseJSON(lines.joined(separator: "\n"))
        #expect(parsed.rows.count == 3000 && parsed.report.refusedCount == 0)
        #expect(parsed.rows.allSatisfy { $0.attributes.count == 16 })
        for index in [0, 1999, 2999] {
            #expect(parsed.rows[index].attributes["k\(index)_15"] == .integer(15))
            #expect(parsed.rows[index].entity == "e\(index)" && parsed.rows[index].type == "t\(index)")
        }
    }

    /// Any bytes whatever: no trap, and lines that are not touched come through.
    @Test func mutationsNeverTrap() {
        var maker = LineMaker()
        let parser = NDJSONParser(options: testOptions(), identity: PlainIdentity())
        let interesting: [UInt8] = [0, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x2d, 0x2e, 0x30, 0x39, 0x3a, 0x5b, 0x5c, 0x5d]
        for _ in 0..<6000 {
            var bytes = Array(maker.line().utf8)
            for _ in 0...maker.random.below(4) {
                let place = maker.random.below(bytes.count)
                switch maker.random.below(5) {
                case 0: bytes[place] = maker.random.pick(interesting)
                case 1: bytes[place] = UInt8(maker.random.below(256))
                case 2: bytes.insert(maker.random.pick(interesting), at: place)
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + 1 + maker.random.below(8)))
                default: bytes.insert(contentsOf: bytes[maker.random.below(place + 1)..<place], at: place)
                }
                if bytes.isEmpty { bytes = [0x7b] }
            }
            parser.parseAll(bytes)
            // The same with its end cut off.
            parser.parseAll(Array(bytes.prefix(maker.random.below(bytes.count + 1))))
            _ = parser.takeBatch()
        }
        let line = event("\"v\":1")
        parser.parseAll(Array(line.utf8))
        #expect(rows(of: parser.takeBatch()) == parseJSON(line).rows, "seed \(maker.random.seed)")
    }

    @Test func agreesWithFoundation() throws {
        var maker = LineMaker()
        for _ in 0..<600 {
            let line = maker.line()
            let parsed = parseJSON(line)
            // Foundation keeps one of two equal keys, which is not always the last.
            guard parsed.report.duplicateKeys == 0, let row = parsed.rows.first else { continue }
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            let top = try #require(object as? [String: Any])
            var expected: [String: String] = [:]
            for (key, value) in top where !["entity", "timestamp", "event_type", "type"].contains(key) {
                let prefix = key == "labels" || key == "attributes" ? "" : key
                flatten(value, prefix, into: &expected)
            }
            var found = row.attributes.mapValues(describe)
            if top["event_id"] == nil { found["event_id"] = nil }
            #expect(found == expected, "seed \(maker.random.seed) \(line)")
        }
    }

    private func flatten(_ value: Any, _ name: String, into result: inout [String: String]) {
        switch value {
        case let object as [String: Any]:
            for (key, inner) in object { flatten(inner, name.isEmpty ? key : name + "." + key, into: &result) }
        case is NSNull: break
        case let text as String: result[name] = "text " + text
        case let list as [Any]: result[name] = "list of \(list.count)"
        case let number as NSNumber: result[name] = "number \(number.doubleValue)"
        default: break
        }
    }

    private func describe(_ value: Value) -> String {
        switch value {
        case .string(let text): "text " + text
        case .integer(let number): "number \(Double(number))"
        case .double(let bits): "number \(Double(bitPattern: bits))"
        case .bool(let flag): "number \(flag ? 1.0 : 0.0)"
        case .json(let text):
            "list of \((try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [Any])?.count ?? -1)"
        }
    }
}
