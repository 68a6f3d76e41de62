// Random expressions over random rows, evaluated here and by the real SQLite: values and types must be equal.

import EventStoreCore
import Foundation
import GRDBSQLite
import Testing

@testable import EventStoreQuery

@Suite struct ScalarDifferentialTests {
    /// More in the environment: SCALAR_EXPRESSIONS, SCALAR_SEED.
    static let expressions = setting("SCALAR_EXPRESSIONS").flatMap(Int.init) ?? 50_000
    static let seed = setting("SCALAR_SEED").flatMap(UInt64.init) ?? UInt64.random(in: 0...UInt64.max)

    static func setting(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }

    @Test func agreesWithSQLite() throws {
        var run = try DifferentialRun(seed: Self.seed)
        for _ in 0..<Self.expressions where run.mismatches.count < 20 { try run.step() }
        print("ScalarDifferentialTests: seed \(Self.seed), \(run.summary)")
        #expect(run.mismatches.isEmpty, "seed \(Self.seed)\n\(run.mismatches.joined(separator: "\n"))")
        #expect(run.lazyErrors < Self.expressions / 500)
        #expect(run.agreed > Self.expressions * 9 / 10)
    }
}

/// What one side makes of an expression.
enum Outcome: Equatable {
    case value(SQLValue)
    case failure(String)

    static func same(_ a: SQLValue, _ b: SQLValue) -> Bool {
        if case .double(let x) = a, case .double(let y) = b { return x.bitPattern == y.bitPattern }
        return a == b
    }
}

struct DifferentialRun {
    var maker: ExpressionMaker
    let oracle: SQLiteOracle
    var rows: [[SQLValue]] = []
    var mismatches: [String] = []
    var agreed = 0
    var errors = 0
    var lazyErrors = 0
    var kinds: [String: Int] = [:]

    init(seed: UInt64, rowCount: Int = 300) throws {
        maker = ExpressionMaker(generator: SeededGenerator(seed: seed))
        oracle = try SQLiteOracle()
        for _ in 0..<rowCount {
            try oracle.insert(SQLiteOracle.columns.map { _ in maker.value() })
        }
        // As stored: columns convert what they are given.
        rows = try oracle.rows("SELECT * FROM t ORDER BY rowid", [])
    }

    var summary: String {
        let counts = kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        return
            "\(agreed) agree, \(errors) fail on both sides, \(lazyErrors) on one side, which did not skip them; \(counts)"
    }

    mutating func step() throws {
        let expression = maker.expression(Int.random(in: 1...4, using: &maker.generator))
        var writer = SQLWriter()
        let text = writer.sql(expression)
        let row = Int.random(in: 0..<rows.count, using: &maker.generator)
        let theirs = outcome {
            try oracle.rows("SELECT \(text) FROM t WHERE rowid = \(row + 1)", writer.parameters)[0][0]
        }
        let ours = outcome { try ScalarProgram(expression, zones: FixedZones()).value(rows[row]) }
        let folded = outcome {
            let folded = try Folding.fold(expression, zones: FixedZones())
            return try ScalarProgram(folded, zones: FixedZones()).value(rows[row])
        }
        judge(ours, theirs, "", text, writer.parameters, row)
        judge(folded, theirs, " (folded)", text, writer.parameters, row)
    }

    private func outcome(_ body: () throws -> SQLValue) -> Outcome {
        do { return .value(try body()) } catch let problem as SQLiteProblem { return .failure(problem.message) } catch {
            return .failure("\(error)")
        }
    }

    private mutating func judge(
        _ ours: Outcome, _ theirs: Outcome, _ mark: String, _ text: String, _ parameters: [SQLValue], _ row: Int
    ) {
        switch (ours, theirs) {
        case (.value(let a), .value(let b)) where Outcome.same(a, b):
            if mark.isEmpty { agreed += 1 }
            kinds[kind(a), default: 0] += 1
        case (.failure, .failure): errors += 1
        // The two sides skip different parts of AND, OR and BETWEEN that are decided already.
        case (.value, .failure(let message)), (.failure(let message), .value):
            guard message.contains("overflow") || message.contains("ESCAPE") else { fallthrough }
            lazyErrors += 1
        default:
            let values = parameters.map(shown).joined(separator: ", ")
            let cells = zip(SQLiteOracle.columns, rows[row]).map { "\($0.name)=\(shown($1))" }.joined(separator: ", ")
            mismatches.append("\(shown(ours))\(mark) instead of \(shown(theirs)): \(text) [\(values)] row \(cells)")
        }
    }

    private func shown(_ outcome: Outcome) -> String {
        switch outcome {
        case .value(let value): QueryTests.shown(value)
        case .failure(let message): "error \(message)"
        }
    }

    private func shown(_ value: SQLValue) -> String { QueryTests.shown(value) }

    private func kind(_ value: SQLValue) -> String {
        switch value {
        case .null: "null"
        case .integer: "integer"
        case .double: "double"
        case .text: "text"
        }
    }
}
