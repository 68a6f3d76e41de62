// What the comparison accepts and what it does not.

import Testing

@Suite("Comparison of answers")
struct ComparisonTests {
    private static func question(_ match: Match = .exact, ordered: Bool = true, limit: Int? = nil, offset: Int? = nil)
        -> Question
    {
        var question = Question()
        question.items = [ResultItem("x", match: match), ResultItem("y")]
        if ordered { question.orderBy = [OrderKey(sql: "y", expression: "y", item: 1)] }
        question.limit = limit
        question.offset = offset
        return question
    }

    private static let tied: [[Cell]] = [
        [.integer(1), .integer(0)], [.integer(2), .integer(5)], [.integer(3), .integer(5)], [.integer(4), .integer(6)],
    ]

    @Test("Ties may come in any order, other rows may not")
    func ties() {
        let comparison = Comparison(Self.question(), expected: Self.tied)
        #expect(comparison.problem(with: Self.tied) == nil)
        #expect(comparison.problem(with: [Self.tied[0], Self.tied[2], Self.tied[1], Self.tied[3]]) == nil)
        #expect(comparison.problem(with: [Self.tied[1], Self.tied[0], Self.tied[2], Self.tied[3]]) != nil)
        #expect(comparison.problem(with: Array(Self.tied.dropLast())) != nil)
        #expect(comparison.problem(with: [Self.tied[0], Self.tied[1], Self.tied[1], Self.tied[3]]) != nil)
    }

    @Test("A limit may keep either of two tied rows")
    func limits() {
        let comparison = Comparison(Self.question(limit: 1, offset: 1), expected: Self.tied)
        #expect(comparison.problem(with: [Self.tied[1]]) == nil)
        #expect(comparison.problem(with: [Self.tied[2]]) == nil)
        #expect(comparison.problem(with: [Self.tied[0]]) != nil)
        let unordered = Comparison(Self.question(ordered: false, limit: 2), expected: Self.tied)
        #expect(unordered.problem(with: [Self.tied[3], Self.tied[0]]) == nil)
        #expect(unordered.problem(with: [Self.tied[3], Self.tied[3]]) != nil)
    }

    @Test("Kinds count, except where equal numbers meet")
    func kinds() {
        let expected: [[Cell]] = [[.integer(1), .integer(0)]]
        let real: [[Cell]] = [[.real(1), .integer(0)]]
        #expect(Comparison(Self.question(), expected: expected).problem(with: real) != nil)
        #expect(Comparison(Self.question(.canonical), expected: expected).problem(with: real) == nil)
        #expect(Cell.text("e\u{301}") != Cell.text("\u{e9}"))
        #expect(Cell.real(0.0) != Cell.real(-0.0))
    }

    @Test("Rounded sums agree within the size of their parts")
    func sums() {
        let expected: [[Cell]] = [[.real(1), .integer(0), .real(1000)]]
        let comparison = Comparison(Self.question(.near("x")), expected: expected)
        #expect(comparison.problem(with: [[.real(1 + 1e-10), .integer(0)]]) == nil)
        #expect(comparison.problem(with: [[.real(1 + 1e-8), .integer(0)]]) != nil)
        #expect(comparison.problem(with: [[.integer(1), .integer(0)]]) != nil)
        #expect(comparison.problem(with: [[.null, .integer(0)]]) != nil)
    }

    @Test("Rows with tolerance leave each other the partners they need")
    func partners() {
        // The first row is near both, the second one only near the row with the wider bound.
        let expected: [[Cell]] = [
            [.real(1), .integer(5), .real(1e12)], [.real(1.5), .integer(5), .real(1e3)],
        ]
        let comparison = Comparison(Self.question(.near("x")), expected: expected)
        #expect(comparison.problem(with: [[.real(1.5 + 1e-10), .integer(5)], [.real(1.2), .integer(5)]]) == nil)
        #expect(comparison.problem(with: [[.real(1.2), .integer(5)], [.real(1.5 + 1e-10), .integer(5)]]) == nil)
        #expect(comparison.problem(with: [[.real(1.2), .integer(5)], [.real(1.3), .integer(5)]]) != nil)
    }
}
