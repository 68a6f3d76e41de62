/// Queries as they are given: parameters, text, words, the caret of an error.

import EventStore
import EventStoreCore
import Foundation
import Testing

import EventStoreCLI

@Suite("Parameters of queries")
struct SQLParameterTests {
    private func value(_ text: String) throws -> QueryValue {
        try SQLParameter(parsing: text) { TimeExpression.parse($0, nowMs: 1_000_000, zone: .gmt) }.value
    }

    @Test(arguments: [
        ("n=5", QueryValue.integer(5)), ("n=-5", .integer(-5)), ("n=2.5", .double(2.5)), ("n=1e3", .double(1000)),
        ("n=9223372036854775807", .integer(.max)), ("n=9223372036854775808", .double(9_223_372_036_854_775_808)),
        ("n=true", .integer(1)), ("n=false", .integer(0)), ("n=null", .null), ("n=NULL", .text("NULL")),
        ("n=abc", .text("abc")), ("n=", .text("")), ("n=007", .text("007")), ("n=a=b", .text("a=b")),
        ("n='5'", .text("5")), ("n=\"5\"", .text("5")), ("n=\"a\\\"b\"", .text("a\"b")), ("n=''", .text("")),
        ("n:text=5", .text("5")), ("n:text='5'", .text("'5'")), ("n:text=", .text("")), ("n:text=null", .text("null")),
        ("n:time=1970-01-01T00:00:01Z", .integer(1000)), ("n:time=-10s", .integer(990_000)),
        (":n=5", .integer(5)), ("@n=5", .integer(5)), ("$n=5", .integer(5)), (":n:text=5", .text("5")),
    ])
    func values(text: String, expected: QueryValue) throws { #expect(try value(text) == expected) }

    @Test func names() throws {
        for name in ["a", "A_1", "_x"] {
            #expect(try SQLParameter(parsing: name + "=1") { _ in nil }.name == name)
        }
    }

    @Test(arguments: ["", "n", "=5", "1n=5", "a b=5", "n='5", "n='5'x", "n:date=5", "n:time=soon", "::n=5", "é=1"])
    func nonsense(text: String) {
        #expect(throws: SQLParameter.Problem.self) { try value(text) }
    }
}

@Suite("Texts of queries")
struct SQLTextTests {
    @Test(arguments: ["", " \n\t", "\u{3000}"])
    func emptyIsWrongUsage(text: String) {
        do {
            _ = try SQLText.decoded(Data(text.utf8), "nothing there")
            Issue.record("taken: \(text)")
        } catch {
            let end = CommandEnd(of: error)
            #expect(end.exitCode == 64)
            #expect(end.diagnostics == ["error[usage]: nothing there"])
        }
    }

    @Test func badBytesAndBooksAreWrongUsage() throws {
        #expect(throws: CLIFailure.self) { try SQLText.decoded(Data([0x53, 0xFF]), "") }
        #expect(throws: CLIFailure.self) { try SQLText.decoded(Data(count: 1 << 20 + 1), "") }
        #expect(try SQLText.decoded(Data("SELECT 'é'\n".utf8), "").query == "SELECT 'é'\n")
    }

    @Test func explainStandsInFrontOnce() {
        #expect(SQLText("SELECT 1").explained().query == "EXPLAIN SELECT 1")
        #expect(SQLText("SELECT 1").explained().isExplain)
        for text in ["EXPLAIN SELECT 1", "-- why\n/* ? */ explain SELECT 1"] {
            #expect(SQLText(text).explained().query == text)
            #expect(SQLText(text).isExplain)
        }
        #expect(!SQLText("SELECT explain FROM events").isExplain)
    }

    @Test func aCommentInFrontIsNoOption() throws {
        #expect(PreparedArguments.prepare(["sql", "S", "-- all\nSELECT 1"]) == ["sql", "S", " -- all\nSELECT 1"])
        #expect(PreparedArguments.prepare(["sql", "S", "--explain"]) == ["sql", "S", "--explain"])
    }

    private func compared(_ column: String, _ text: String, _ parameters: [String: QueryValue] = [:]) -> [String] {
        SQLWords(text).compared(with: column, parameters)
    }

    @Test func comparedNames() {
        let text = """
            SELECT type, 'entity = ''no''' FROM events e -- entity = 'comment'
            WHERE e.entity = 'x' OR ENTITY IN ('a', :b, 5) AND "type" == 'it''s' AND entity_x = 'y' AND type = t
            """
        #expect(compared("entity", text, ["b": .text("param"), "c": .text("z")]) == ["a", "param"])
        #expect(compared("type", text) == ["it's"])
        #expect(compared("type", "type IN (SELECT x") == [])
        #expect(compared("type", "type = 'open").count == 1)
        #expect(compared("type", "/* open").isEmpty)
    }
}

@Suite("Carets")
struct SourceCaretTests {
    private func lines(_ text: String, at word: String, width: Int = 80) -> [String] {
        let offset = text.range(of: word).map { text[..<$0.lowerBound].utf8.count } ?? text.utf8.count
        return SourceCaret(text, offset: offset, width: width).lines
    }

    @Test func pointsAtTheColumn() {
        #expect(lines("SELECT stauts FROM events", at: "stauts") == ["  SELECT stauts FROM events", "         ^"])
        #expect(lines("SELECT 1,", at: "nowhere") == ["  SELECT 1,", "           ^"])
        #expect(lines("", at: "x") == ["  ", "  ^"])
    }

    @Test func picksTheLine() {
        let text = "SELECT a,\r\n\tb + ? AS x\r\nFROM events\r\n"
        #expect(lines(text, at: "?") == ["   b + ? AS x", "       ^"])
        #expect(lines(text, at: "FROM") == ["  FROM events", "  ^"])
        #expect(lines(text, at: "nowhere") == ["  ", "  ^"])
    }

    @Test func countsColumnsNotBytes() {
        #expect(lines("SELECT 'é😀日' ?", at: "?") == ["  SELECT 'é😀日' ?", "                 ^"])
        #expect(lines("SELECT '\u{1b}' ?", at: "?") == [#"  SELECT '\u{1b}' ?"#, "                  ^"])
    }

    @Test func longLinesAreCutAroundThePlace() {
        let text = String(repeating: "abcdefghi ", count: 40)
        for offset in [0, 1, 20, 35, 200, 390, 400] {
            let caret = SourceCaret(text, offset: offset, width: 40).lines
            #expect(caret.allSatisfy { TextLayout.width($0) <= 40 }, "\(caret)")
            let column = caret[1].count - 1
            let shown = Array(caret[0])
            let expected = Array(text + " ")[offset]
            #expect(column >= shown.count || shown[column] == expected, "\(offset): \(caret)")
        }
    }

    @Test func anywhereIsSomewhere() {
        let text = "a\nbé\n\nc"
        for offset in -3...20 { #expect(SourceCaret(text, offset: offset, width: 20).lines.count == 2) }
    }

    @Test func errorsOfQueriesShowIt() {
        let error = EventStoreError(Fault(.invalid, "line 1, column 8: no column x", at: .init(offset: 7)))
        #expect(error.offset == 7)
        let end = CommandEnd(SQLText("SELECT x").failure(error, width: 80, unicode: true))
        #expect(end.exitCode == 64)
        #expect(end.diagnostics == ["  SELECT x", "         ^", "error[invalid]: line 1, column 8: no column x"])
        // EXPLAIN put in front is not the caller's text.
        let shifted = EventStoreError(Fault(.invalid, "no column x", at: .init(offset: 15)))
        let explained = SQLText("SELECT x").explained().failure(shifted, width: 80, unicode: true)
        #expect(explained.context == ["  SELECT x", "         ^"])
    }

    @Test func otherErrorsDoNot() {
        let damage = EventStoreError(Fault(.damaged, "m", at: .init(file: "f", offset: 7)))
        #expect(damage.offset == nil)
        #expect(SQLText("SELECT x").failure(damage, width: 80, unicode: true).context.isEmpty)
    }
}
