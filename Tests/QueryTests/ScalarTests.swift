// Values, patterns, functions and folding one by one, and how long a small expression takes.

import EventStoreCore
import Testing

@testable import EventStoreQuery

@Suite struct ScalarTests {
    func evaluate(_ expression: Expression, _ slots: [SQLValue] = []) throws -> SQLValue {
        try ScalarProgram(expression, zones: FixedZones()).value(slots)
    }

    func slot(_ index: Int, _ affinity: Affinity = .blob) -> Expression { Expression(.slot(index, affinity)) }

    func binary(_ operation: BinaryOperator, _ a: Expression, _ b: Expression) -> Expression {
        Expression(.binary(operation, a, b))
    }

    @Test func orderIsTotalAndHashesAgree() {
        let values: [SQLValue] =
            [.null] + ExpressionMaker.integers.map { .integer($0) } + ExpressionMaker.doubles.map { .double($0) }
            + ExpressionMaker.texts.map { .text($0) }
        func hash(_ value: SQLValue) -> Int {
            var hasher = Hasher()
            value.groupHash(into: &hasher)
            return hasher.finalize()
        }
        for a in values {
            for b in values {
                let order = SQLValue.order(a, b)
                #expect(order.signum() == -SQLValue.order(b, a).signum())
                if a.isSame(as: b) { #expect(hash(a) == hash(b)) }
            }
        }
        let sorted = values.sorted { SQLValue.order($0, $1) < 0 }
        for (index, a) in sorted.enumerated() {
            for b in sorted[index...] { #expect(SQLValue.order(a, b) <= 0) }
        }
        #expect(SQLValue.order(.integer(1 << 53 + 1), .double(0x1p53)) > 0)
        #expect(SQLValue.order(.integer(.max), .double(0x1p63)) < 0)
    }

    /// An attribute is a column without a type: beside a TEXT column nothing is converted; beside a literal-like
    /// expression TEXT counts.
    @Test func columnsWithoutATypeConvertNothing() throws {
        let equal = binary(.equal, slot(0, .blob), slot(1, .text))
        #expect(try evaluate(equal, [.integer(5), .text("5")]) == .integer(0))
        let computed = binary(.equal, slot(0, .none), slot(1, .text))
        #expect(try evaluate(computed, [.integer(5), .text("5")]) == .integer(1))
        let time = binary(.equal, slot(0, .blob), slot(1, .integer))
        #expect(try evaluate(time, [.text("5"), .integer(5)]) == .integer(1))
        #expect(Expression.attribute("x").affinity == .blob && Expression.fixed(.entity).affinity == .text)
        #expect(Expression(.unary(.plus, .fixed(.timestamp))).affinity == .none)
    }

    @Test func columnsAndAggregatesAreFaults() {
        for expression in [Expression.fixed(.id), Expression(.aggregate(AggregateCall(.count, [])))] {
            #expect(throws: Fault.self) { _ = try ScalarProgram(expression, zones: FixedZones()) }
        }
    }

    @Test func signsOfLiterals() throws {
        let zero = Expression(.unary(.negate, .literal(.double(0))))
        guard case .double(let number) = try evaluate(zero) else { throw Fault(.invalid, "no double") }
        #expect(number.sign == .minus)
        guard case .double(let other) = try evaluate(Expression(.unary(.negate, slot(0))), [.double(0)]) else {
            throw Fault(.invalid, "no double")
        }
        #expect(other.sign == .plus)
    }

    @Test func absoluteOfTheLeastIntegerOverflows() throws {
        let call = Expression(.function(.abs, [slot(0)]))
        let fault = #expect(throws: Fault.self) { _ = try evaluate(call, [.integer(.min)]) }
        #expect(fault?.message.hasPrefix("integer overflow") == true)
        let guarded = Expression(
            .conditional(
                operand: nil, [WhenClause(condition: .literal(.integer(0)), result: call)],
                otherwise: .literal(.integer(7))))
        #expect(try evaluate(guarded, [.integer(.min)]) == .integer(7))
    }

    // MARK: Patterns

    @Test func shapesOfPatternsMatchLikeTheirSteps() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var maker = ExpressionMaker(generator: SeededGenerator(seed: seed))
        for _ in 0..<3000 {
            let literal = (0..<Int.random(in: 0...3, using: &maker.generator)).map { _ in
                maker.pick(["a", "B", "é", "1", "É"])
            }.joined()
            let text = (0..<Int.random(in: 0...7, using: &maker.generator)).map { _ in
                maker.pick(["a", "A", "b", "é", "1", "\u{0}"])
            }.joined()
            for (kind, run) in [(PatternKind.like, "%"), (.glob, "*")] {
                for (before, after) in [("", ""), ("", run), (run, ""), (run, run)] {
                    let fast = LikePattern(kind, Text(before + literal + after))
                    #expect(fast.shape != .steps)
                    let slow = LikePattern(steps: fast.steps, kind: kind)
                    #expect(
                        fast.matches(Text(text)) == slow.matches(Text(text)),
                        "seed \(seed) \(before + literal + after) \(text.debugDescription)")
                }
            }
        }
    }

    @Test func manyRunsDoNotTakeForEver() {
        let pattern = LikePattern(.like, Text(String(repeating: "%a_", count: 10_000) + "b"))
        #expect(!pattern.matches(Text(String(repeating: "a", count: 40_000))))
    }

    @Test func exactPrefixes() {
        #expect(LikePattern(.glob, "/wp-*").exactPrefix == Array("/wp-".utf8))
        #expect(LikePattern(.like, "10.0._%").exactPrefix == Array("10.0.".utf8))
        #expect(LikePattern(.like, "abc%").exactPrefix.isEmpty)
    }

    // MARK: Doubles as text

    @Test func portablePrintingAgreesToFifteenDigits() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var different = 0
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite, value != 0 else { continue }
            let text = DoubleText.general(value)
            if text != DoubleText.portableGeneral(value) { different += 1 }
            guard let back = Double(text) else {
                Issue.record("seed \(seed) \(text)")
                continue
            }
            // At the edge of the range fifteen digits can round beyond it.
            #expect(
                back.isInfinite || abs(back - value) <= abs(value) * 6e-15 + .leastNonzeroMagnitude,
                "seed \(seed) \(text)")
        }
        #expect(different < 100, "seed \(seed)")
    }

    @Test(arguments: [
        (1.0, "1.0"), (-0.0, "0.0"), (0.1, "0.1"), (1e15, "1.0e+15"), (123456.5, "123456.5"), (1e-5, "1.0e-05"),
        (1e100, "1.0e+100"), (.infinity, "Inf"), (-.infinity, "-Inf"), (100000000000000, "100000000000000.0"),
        (0.0001, "0.0001"), (1.0 / 3, "0.333333333333333"),
    ])
    func doublesPrintAsInSQLite(_ value: Double, _ text: String) {
        #expect(SQLValue.double(value).textValue?.string == text)
    }

    // MARK: Folding

    @Test func constantPartsBecomeLiterals() throws {
        func folded(_ expression: Expression) throws -> Expression {
            try Folding.fold(expression, zones: FixedZones())
        }
        let three = binary(.add, .literal(.integer(1)), .literal(.integer(2)))
        #expect(try folded(three) == .literal(.integer(3)))
        #expect(try folded(binary(.multiply, slot(0), three)) == binary(.multiply, slot(0), .literal(.integer(3))))
        let cast = Expression(.cast(.literal(.text("5x")), .integer))
        #expect(try folded(binary(.equal, slot(0), cast)).children[1].affinity == .integer)
        #expect(try folded(binary(.and, slot(0), .literal(.integer(0)))) == .literal(.integer(0)))
        #expect(try folded(binary(.or, slot(0), three)) == .literal(.integer(1)))
        let overflow = Expression(.function(.abs, [.literal(.integer(.min))]))
        #expect(try folded(overflow) == overflow)
        #expect(try folded(.fixed(.id)) == .fixed(.id))
    }

    // MARK: Time

    /// Prints what a row costs; the bound is generous, since other work shares the machine.
    @Test func smallExpressionsAreQuick() throws {
        let sum = binary(.add, slot(0), slot(1))
        let program = try ScalarProgram(binary(.greater, sum, .literal(.integer(3))), zones: FixedZones())
        let like = try ScalarProgram(
            Expression(.pattern(.like, slot(2), pattern: .literal(.text("/wp-%")), escape: nil, isNegated: false)),
            zones: FixedZones())
        let slots: [SQLValue] = [.integer(1), .integer(3), .text("/wp-login.php")]
        for (name, program) in [("a + b > 3", program), ("LIKE '/wp-%'", like)] {
            let rows = 300_000
            var hits = 0
            let time = try ContinuousClock().measure {
                try slots.withUnsafeBufferPointer { buffer in
                    let base = try #require(buffer.baseAddress)
                    for _ in 0..<rows where try program.truth(base) == true { hits += 1 }
                }
            }
            #expect(hits == rows)
            print("ScalarTests: \(name) takes \(time / rows) a row")
            #expect(time < .seconds(5))
        }
    }
}
