// One question put to the store and to the reference, and the further checks that need no reference.

import EventStore

/// The store gave an answer that cannot be right.
struct Mismatch: Error {
    var check: String
    var problem: String
    var sql: String
    var parameters: [String: QueryValue] = [:]
    var referenceSQL: String
    var got: Answer
    var expected: Answer
}

/// What one question told.
struct Verdict {
    var isNative = false
    var isEmpty = true
    var isError = false
    var rows = 0
    var features: Set<String> = []
    var mismatch: Mismatch?
}

struct Checker {
    let data: DataSet
    /// Of a hundred questions, how many go through each further check.
    var extraShare = 8

    /// The main check: the store's answer against the reference's.
    func check(_ question: Question) -> Verdict {
        var verdict = Verdict(features: question.features)
        let asked = question.written(.store)
        let got = data.ask(asked)
        var expected = data.expected(question)
        verdict.isNative = got.isNative
        if let failure = expected.answer.failure {
            verdict.isError = got.answer.rows == nil || failure != "integer overflow"
        }
        verdict.isEmpty = expected.answer.rows?.isEmpty ?? true
        verdict.rows = got.answer.rows?.count ?? 0
        func mismatch(_ problem: String) -> Mismatch {
            Mismatch(
                check: "reference", problem: problem, sql: asked.sql, parameters: asked.parameters,
                referenceSQL: question.writtenForChecks(.reference).sql, got: got.answer, expected: expected.answer)
        }
        if isOverflow(got.answer) != isOverflow(expected.answer) {
            verdict.features.insert("sums overflow in one order of rows")
            expected = data.expected(question, Dialect(exactSums: true))
            if isOverflow(got.answer), mayOverflow(question, expected.answer, isNative: got.isNative) { return verdict }
        }
        switch (got.answer, expected.answer) {
        case (.failure, .failure): break
        case (.rows, .failure(let text)): verdict.mismatch = mismatch("SQLite fails: \(text)")
        case (.failure(let text), .rows): verdict.mismatch = mismatch("the store fails: \(text)")
        case (.rows(let rows), .rows(let wanted)):
            if let problem = Comparison(question, expected: wanted).problem(with: rows) {
                verdict.mismatch = mismatch(problem)
            } else if let problem = namesProblem(question, got.names, expected.names) {
                verdict.mismatch = mismatch(problem)
            }
        }
        return verdict
    }

    /// SQLite's overflow of sums hangs on the order of its rows, and a group that HAVING or LIMIT take away is summed
    /// or not. So: the store must fail where an exact sum of its answer's rows leaves 64 bits, may fail where that of
    /// any other group does, and must give all other sums. Where SQLite itself runs, its own rule stays.
    private func mayOverflow(_ question: Question, _ exact: Answer, isNative: Bool) -> Bool {
        guard let rows = exact.rows else { return true }
        return !isNative && question.isGeneral || !question.having.isEmpty
            || rows.contains { $0.contains(ExactSumState.overflow) }
    }

    private func isOverflow(_ answer: Answer) -> Bool { answer.failure?.contains("integer overflow") ?? false }

    /// Columns with an alias are called by it.
    private func namesProblem(_ question: Question, _ names: [String], _ expected: [String]) -> String? {
        guard !question.items.contains(where: \.isStar), names.count == question.items.count else { return nil }
        for (place, item) in question.items.enumerated() where item.alias != nil && names[place] != expected[place] {
            return "column \(place) is called \(names[place]), not \(expected[place])"
        }
        return nil
    }

    // MARK: Further checks

    /// Checks of the store against itself and of variants of the question; some of them, by chance.
    func checkFurther(_ question: Question, _ random: inout SeededGenerator, predicate: () -> Fragment) -> Verdict? {
        guard random.percent(extraShare * 4) || question.checksPage else { return nil }
        var verdict = Verdict()
        if question.checksPage {
            verdict.mismatch = page(question, &random, &verdict)
            return verdict
        }
        guard let wanted = data.expected(question).answer.rows else { return nil }
        switch random.below(6) {
        case 0: verdict.mismatch = throughSQLite(question, wanted, &verdict)
        case 1: verdict.mismatch = unpruned(question, wanted, &verdict)
        case 2: verdict.mismatch = otherLimit(question, wanted, &random, &verdict)
        case 3: verdict.mismatch = partitioned(question, predicate(), &verdict)
        case 4: verdict.mismatch = page(question, &random, &verdict)
        default: verdict.mismatch = partitionedAggregates(question, predicate(), &verdict)
        }
        return verdict
    }

    private func compare(
        _ check: String, _ question: Question, _ asked: SQLWriter, _ sql: String, _ wanted: [[Cell]], limit: Int? = nil,
        inOrder: Bool = true
    ) -> Mismatch? {
        let got = data.ask(sql, asked.parameters)
        func mismatch(_ problem: String) -> Mismatch {
            Mismatch(
                check: check, problem: problem, sql: sql, parameters: asked.parameters,
                referenceSQL: question.writtenForChecks(.reference).sql, got: got.answer, expected: .rows(wanted))
        }
        switch got.answer {
        case .failure(let text): return isOverflow(got.answer) ? nil : mismatch("the store fails: \(text)")
        case .rows(let rows):
            let comparison = Comparison(question, expected: wanted)
            return comparison.problem(with: rows, limit: limit, inOrder: inOrder).map(mismatch)
        }
    }

    /// The same question inside another, which SQLite runs over the virtual table.
    private func throughSQLite(_ question: Question, _ wanted: [[Cell]], _ verdict: inout Verdict) -> Mismatch? {
        verdict.features.insert("check: native and SQLite")
        let asked = question.written(.general)
        return compare(
            "SQLite over the virtual table", question, asked, "SELECT * FROM (\(asked.sql))", wanted, inOrder: false)
    }

    /// The condition's columns hidden behind operators.
    private func unpruned(_ question: Question, _ wanted: [[Cell]], _ verdict: inout Verdict) -> Mismatch? {
        guard !question.isGeneral, !question.conditions.isEmpty else { return nil }
        verdict.features.insert("check: pruned and full scan")
        let asked = question.written(.unpruned)
        guard let mismatch = compare("full scan", question, asked, asked.sql, wanted) else { return nil }
        // Hiding can change what is asked: of two columns none is converted, an expression beside a column of text is.
        // What SQLite makes of the same text counts then.
        guard let same = data.expected(question, .hiddenReference).answer.rows else { return mismatch }
        return compare("full scan", question, asked, asked.sql, same)
    }

    private func otherLimit(
        _ question: Question, _ wanted: [[Cell]], _ random: inout SeededGenerator, _ verdict: inout Verdict
    ) -> Mismatch? {
        verdict.features.insert("check: other LIMIT")
        var other = question
        other.limit = random.within(0...(wanted.count + 1))
        let asked = other.written(.store)
        return compare("LIMIT \(other.limit ?? 0)", other, asked, asked.sql, wanted)
    }

    /// A page is the same rows as in the whole answer, in the same order, ties and all: otherwise a reader who turns
    /// pages sees rows twice and others never.
    private func page(_ question: Question, _ random: inout SeededGenerator, _ verdict: inout Verdict) -> Mismatch? {
        guard !question.isGeneral, !question.isGrouped, !question.isDistinct, !question.orderBy.isEmpty else {
            return nil
        }
        var whole = question
        whole.limit = nil
        whole.offset = nil
        // One key leaves more ties.
        if random.percent(50) { whole.orderBy = [whole.orderBy[0]] }
        let all = data.ask(whole.written(.store))
        guard all.isNative, let rows = all.answer.rows, rows.count > 1 else { return nil }
        verdict.features.insert("check: page")
        var part = whole
        let start = random.within(0...rows.count - 1)
        let size = random.within(1...max(1, min(rows.count / 2, 40)))
        part.offset = start
        part.limit = size
        let asked = part.written(.store)
        let got = data.ask(asked).answer
        let wanted = Array(rows[start..<min(rows.count, start + size)])
        if got.rows == wanted { return nil }
        return Mismatch(
            check: "page", problem: "rows \(start) and following", sql: asked.sql, parameters: asked.parameters,
            referenceSQL: whole.written(.store).sql, got: got, expected: .rows(wanted))
    }

    /// Ternary-logic partitioning (Rigger & Su, OOPSLA 2020): each row satisfies p, NOT p or p IS NULL, one of them.
    private func partitioned(_ question: Question, _ predicate: Fragment, _ verdict: inout Verdict) -> Mismatch? {
        guard !question.isGeneral, !question.isGrouped else { return nil }
        verdict.features.insert("check: TLP")
        var whole = question
        whole.isDistinct = false
        whole.orderBy = []
        whole.limit = nil
        whole.offset = nil
        guard let all = data.ask(whole.written(.store)).answer.rows else { return nil }
        var parts: [[Cell]] = []
        var texts: [String] = []
        for form in forms(predicate) {
            var part = whole
            part.conditions.append(form)
            let asked = part.written(.store)
            texts.append(asked.sql)
            guard let rows = data.ask(asked).answer.rows else { return nil }
            parts += rows
        }
        guard let problem = Comparison(whole, expected: all).problem(with: parts) else { return nil }
        return Mismatch(
            check: "TLP", problem: problem, sql: texts.joined(separator: ";\n  "),
            referenceSQL: whole.written(.store).sql, got: .rows(parts), expected: .rows(all))
    }

    private func forms(_ predicate: Fragment) -> [Fragment] {
        ["(\(predicate))", "NOT (\(predicate))", "(\(predicate)) IS NULL"]
    }

    /// The same for count, sum of integers, min and max.
    private func partitionedAggregates(
        _ question: Question, _ predicate: Fragment, _ verdict: inout Verdict
    ) -> Mismatch? {
        guard !question.isGeneral else { return nil }
        verdict.features.insert("check: TLP of aggregates")
        var whole = Question()
        whole.isGrouped = true
        whole.conditions = question.conditions
        whole.items = [
            ResultItem("count(*)"), ResultItem("count(status)"), ResultItem("sum(status)"), ResultItem("min(pair)"),
            ResultItem("max(mixed)"), ResultItem("min(timestamp)"), ResultItem("max(entity)"),
        ]
        guard let all = data.ask(whole.written(.store)).answer.rows?.first else { return nil }
        var merged: [Cell] = [.integer(0), .integer(0), .null, .null, .null, .null, .null]
        for form in forms(predicate) {
            var part = whole
            part.conditions.append(form)
            guard let row = data.ask(part.written(.store)).answer.rows?.first, row.count == merged.count else {
                return nil
            }
            for column in 0..<3 { merged[column] = Self.sum(merged[column], row[column]) }
            for column in [3, 5] { merged[column] = Self.extreme(merged[column], row[column], sign: -1) }
            for column in [4, 6] { merged[column] = Self.extreme(merged[column], row[column], sign: 1) }
        }
        if zip(all, merged).allSatisfy({ $0.canonical == $1.canonical }) { return nil }
        var writer = SQLWriter(.store)
        writer.write(predicate)
        return Mismatch(
            check: "TLP of aggregates", problem: "by p = \(writer.sql)", sql: whole.written(.store).sql,
            referenceSQL: "",
            got: .rows([merged]), expected: .rows([all]))
    }

    private static func sum(_ a: Cell, _ b: Cell) -> Cell {
        guard case .integer(let left) = a else { return b }
        guard case .integer(let right) = b else { return a }
        return .integer(left &+ right)
    }

    private static func extreme(_ a: Cell, _ b: Cell, sign: Int) -> Cell {
        if a == .null { return b }
        if b == .null { return a }
        return Cell.sqlOrder(a, b) * sign >= 0 ? a : b
    }
}
