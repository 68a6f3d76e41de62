// Texts that mean no good: soups of tokens and bytes, and good statements with something wrong, never trap; errors
// have a place within the text.

import EventStoreCore
import Testing

@testable import EventStoreQuery

struct SQLSoupTests {
    private static let words = """
        SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT OFFSET DISTINCT ALL AS AND OR NOT IS NULL ISNULL NOTNULL IN BETWEEN
        LIKE GLOB ESCAPE CASE WHEN THEN ELSE END CAST COLLATE EXISTS UNION JOIN ON WITH VALUES EXPLAIN QUERY PLAN FILTER
        OVER NULLS FIRST LAST ASC DESC events e entities status req.method timestamp received attributes type a b n count
        sum min max quantile first lower substr printf time_bucket TRUE FALSE CURRENT_DATE ( ( ( ) ) ) , , . * + - / %
        || & | << >> = == <> != < <= > >= -> ->> ~ ; 1 2 0 -1 1.5 1e9 0x1f 9223372036854775808 'x' '2026-11-23' '' "a"
        "none" [b] `c` x'00' :p @p $p ? ' " [ -- /* */ # 12ab ä \u{1F600} \u{0}
        """
        .split { $0 == " " || $0 == "\n" }.map(String.init)

    private static let statements = [
        "SELECT a , count(*) AS n FROM events e WHERE e . b BETWEEN 1 AND 2 AND timestamp > '2026-11-23' GROUP BY a , 1 HAVING n > 1 ORDER BY n DESC NULLS LAST , 1 LIMIT 3 OFFSET 1",
        "SELECT DISTINCT lower( c ) , CASE a WHEN 1 THEN 'x' ELSE b END FROM events WHERE a NOT IN ( 1 , :p , 'x' ) OR c LIKE 'x%' ESCAPE '!' ORDER BY 2",
        "WITH t AS ( SELECT a , timestamp FROM events ) SELECT t . a , sum( a ) OVER ( ORDER BY timestamp ) FROM t WHERE timestamp BETWEEN '2026-11-23' AND :p",
        "SELECT e . req.method , attributes ->> 'a.b' FROM events e JOIN events f ON e . timestamp = '2026-11-23' AND '2026-11-23' < f . received",
    ]

    @Test func soups() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var outcomes = (native: 0, general: 0, fault: 0)
        for _ in 0..<20_000 {
            let text = Self.text(&random)
            let parameters: [String: SQLValue] =
                text.contains("p") && Bool.random(using: &random) ? ["p": .text("1")] : [:]
            do {
                switch try SQLTest.parse(text, parameters).body {
                case .native: outcomes.native += 1
                case .general: outcomes.general += 1
                }
            } catch {
                outcomes.fault += 1
                let offset = error.place.offset ?? 0
                #expect(offset >= 0 && offset <= text.utf8.count, "seed \(seed): \(text)")
                #expect(!error.message.isEmpty && !error.message.hasSuffix("\n"), "seed \(seed): \(text)")
            }
        }
        // Each kind of outcome is met, or the soups are too thin.
        #expect(outcomes.native > 100 && outcomes.general > 100 && outcomes.fault > 1000, "seed \(seed): \(outcomes)")
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        func pick(_ list: [String]) -> String { list[Int.random(in: 0..<list.count, using: &random)] }
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            let count = Int.random(in: 0..<30, using: &random)
            return "SELECT " + (0..<count).map { _ in pick(words) }.joined(separator: " ")
        case 1:
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            return "SELECT " + String(decoding: bytes, as: UTF8.self)
        default:
            var tokens = pick(statements).split(separator: " ").map(String.init)
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                let index = Int.random(in: 0..<tokens.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: tokens[index] = pick(words)
                case 1: tokens.insert(pick(words), at: index)
                case 2 where tokens.count > 1: tokens.remove(at: index)
                default: tokens.swapAt(index, Int.random(in: 0..<tokens.count, using: &random))
                }
            }
            return tokens.joined(separator: Bool.random(using: &random) ? " " : "  ")
        }
    }
}
