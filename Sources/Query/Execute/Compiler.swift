// From expressions of the query tree to nodes that run over columns.

import EventStoreCore

/// Numbers the columns an expression names, and compiles against those numbers. One per worker.
final class Compiler {
    private(set) var columns: [QueryColumn] = []
    private var numbers: [ColumnName: Int] = [:]
    private var hashNumber: Int?
    private let source: any ScanSource
    let zones: any ZoneSource

    init(_ source: any ScanSource, _ zones: any ZoneSource) {
        self.source = source
        self.zones = zones
    }

    func number(_ name: ColumnName) -> Int {
        if let known = numbers[name] { return known }
        let origin: QueryColumn.Source
        switch name {
        case .fixed(.id): origin = .unit(.id)
        case .fixed(.entity): origin = .unit(.entity)
        case .fixed(.type): origin = .unit(.type)
        case .fixed(.timestamp): origin = .unit(.timestamp)
        case .fixed(.sequence): origin = .unit(.sequence)
        case .fixed(.received): origin = .unit(.received)
        case .fixed(.attributes): origin = .attributes
        case .attribute(let attribute):
            origin = source.attributeNumber(attribute).map { .unit(.attribute($0)) } ?? .nothing
        }
        numbers[name] = columns.count
        columns.append(QueryColumn(name: name, source: origin))
        return columns.count - 1
    }

    /// The column of short hashes of ids.
    private var numberOfHash: Int {
        if let hashNumber { return hashNumber }
        columns.append(QueryColumn(name: .fixed(.id), source: .unit(.idHash)))
        hashNumber = columns.count - 1
        return columns.count - 1
    }

    /// Numbers of the columns an expression reads, ascending by appearance.
    func numbers(in expression: Expression) -> [Int] {
        var found: [Int] = []
        expression.visit { part in
            guard case .column(let name) = part.node else { return }
            let number = number(name)
            if !found.contains(number) { found.append(number) }
        }
        return found
    }

    /// The program of an expression whose columns became slots in the order of `columns`.
    func program(_ expression: Expression, _ columns: [Int]) throws(Fault) -> ScalarProgram {
        let slotted = expression.replacing { part in
            guard case .column(let name) = part.node, let place = columns.firstIndex(of: number(name)) else {
                return nil
            }
            return Expression(.slot(place, part.affinity), part.range)
        }
        return try ScalarProgram(slotted, zones: zones)
    }

    // MARK: Conditions

    func filter(_ expression: Expression) throws(Fault) -> FilterNode {
        switch expression.node {
        case .binary(.and, let left, let right): return .and([try filter(left), try filter(right)])
        case .binary(.or, let left, let right): return .or([try filter(left), try filter(right)])
        case .unary(.not, let operand): return .not(try filter(operand))
        case .between(let value, let low, let high, let isNegated):
            let both = FilterNode.and([
                try filter(Expression(.binary(.greaterOrEqual, value, low))),
                try filter(Expression(.binary(.lessOrEqual, value, high))),
            ])
            return isNegated ? .not(both) : both
        default: break
        }
        let columns = numbers(in: expression)
        if let id = TestAnalysis(expression).id { return .id(id, hash: numberOfHash, column: columns[0]) }
        switch columns.count {
        case 0:
            var slot = SQLValue.null
            let truth = try program(expression, []).value(&slot).truth
            return .constant(truth.map { $0 ? 1 : 0 } ?? 2)
        case 1:
            let analysis = TestAnalysis(expression)
            return .test(
                try ColumnTest(
                    column: columns[0], program: try program(expression, columns), numbers: try analysis.numbers(),
                    text: analysis.text(),
                    search: analysis.search))
        default:
            if case .binary(let operation, _, _) = expression.node, operation.isArithmetic {
                return .truth(try node(expression))
            }
            return .program(try program(expression, columns), columns: columns)
        }
    }

    // MARK: Values

    func node(_ expression: Expression) throws(Fault) -> DenseNode {
        switch expression.node {
        case .column(let name): return .column(number(name))
        case .literal(let value): return .constant(value)
        case .binary(let operation, let left, let right) where operation.isArithmetic:
            return .arithmetic(operation, try node(left), try node(right))
        case .binary(let operation, _, _) where operation.isCondition: return .condition(try filter(expression))
        case .unary(.not, _), .isNull, .between, .inList, .pattern: return .condition(try filter(expression))
        case .function(.timeBucket, let arguments), .function(.dateTrunc, let arguments):
            if let plan = try bucketPlan(expression) { return .bucket(plan, try node(arguments[1])) }
        case .conditional(nil, let clauses, let otherwise):
            if clauses.count < 200, clauses.allSatisfy({ $0.result.isSimple }), otherwise?.isSimple ?? true {
                var sides: [(FilterNode, DenseNode)] = []
                for clause in clauses { sides.append((try filter(clause.condition), try node(clause.result))) }
                return .choice(
                    sides, otherwise: try otherwise.map { (side) throws(Fault) in try node(side) } ?? .constant(.null))
            }
        default: break
        }
        let columns = numbers(in: expression)
        let program = try program(expression, columns)
        if columns.isEmpty {
            var slot = SQLValue.null
            return .constant(try program.value(&slot))
        }
        return columns.count == 1 ? .mapped(column: columns[0], program) : .program(program, columns: columns)
    }

    /// The plan of a bucket whose width and zone are constants.
    private func bucketPlan(_ expression: Expression) throws(Fault) -> BucketPlan? {
        guard case .function(let function, let arguments) = expression.node, arguments.count >= 2,
            case .literal(let width) = arguments[0].node
        else { return nil }
        guard arguments.count > 2 else { return try TimeFunctions.plan(function, width: width, zone: nil, zones) }
        guard case .literal(let zone) = arguments[2].node else { return nil }
        return try TimeFunctions.plan(function, width: width, zone: zone, zones)
    }
}

extension BinaryOperator {
    var isArithmetic: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo: true
        default: false
        }
    }

    var isCondition: Bool {
        switch self {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .isSame, .isNotSame, .and, .or: true
        default: false
        }
    }

    var comparison: Comparison? {
        switch self {
        case .equal, .isSame: .equal
        case .notEqual, .isNotSame: .notEqual
        case .less: .less
        case .lessOrEqual: .lessOrEqual
        case .greater: .greater
        case .greaterOrEqual: .greaterOrEqual
        default: nil
        }
    }

    /// The operator with its sides exchanged.
    var mirrored: BinaryOperator {
        switch self {
        case .less: .greater
        case .lessOrEqual: .greaterOrEqual
        case .greater: .less
        case .greaterOrEqual: .lessOrEqual
        default: self
        }
    }
}

extension Expression {
    /// A column or a literal: costs nothing and cannot fail.
    var isSimple: Bool {
        switch node {
        case .column(let name): name != .fixed(.attributes)
        case .literal: true
        default: false
        }
    }
}

/// What a condition on one column allows: tests without the program.
struct TestAnalysis {
    private let expression: Expression

    init(_ expression: Expression) { self.expression = expression }

    /// Column, operator and literal of `column op literal`, either way round.
    private var comparison: (column: ColumnName, operation: BinaryOperator, value: SQLValue)? {
        guard case .binary(let operation, let left, let right) = expression.node, operation.comparison != nil else {
            return nil
        }
        if case .column(let name) = left.node, case .literal(let value) = right.node {
            return (name, operation, value.applying(affinityOfOther(name)))
        }
        if case .literal(let value) = left.node, case .column(let name) = right.node {
            return (name, operation.mirrored, value.applying(affinityOfOther(name)))
        }
        return nil
    }

    /// The affinity a literal takes from the column it meets.
    private func affinityOfOther(_ name: ColumnName) -> Affinity {
        .ofComparison(Expression(.column(name)).affinity, .none)
    }

    /// How numbers in the column are decided.
    func numbers() throws(Fault) -> ColumnTest.Numbers {
        if case .isNull(let operand, let isNegated) = expression.node, case .column = operand.node {
            return .fixed(isNegated ? 1 : 0)
        }
        guard let (_, operation, value) = comparison, let kind = operation.comparison else { return .program }
        switch value {
        case .null: return .program
        case .text: return .fixed([.less, .lessOrEqual, .notEqual].contains(kind) ? 1 : 0)
        case .integer(let number):
            let whole = Literal.integer(number)
            let predicate = Predicate(attribute: 0, kind, whole)
            return .intervals(predicate.integers, predicate.doubles)
        case .double(let number):
            if !number.isFinite { return .program }
            let predicate = Predicate(attribute: 0, kind, .double(number))
            return .intervals(predicate.integers, predicate.doubles)
        }
    }

    /// How texts in the column are decided, by their bytes.
    func text() -> ((UnsafeRawBufferPointer) -> UInt8)? {
        switch expression.node {
        case .isNull(let operand, let isNegated):
            if case .column = operand.node { return { _ in isNegated ? 1 : 0 } }
        case .inList(let operand, let list, let isNegated):
            if case .column = operand.node { return textIn(list, isNegated) }
        case .pattern(let kind, let operand, let pattern, nil, let isNegated):
            if case .column = operand.node, case .literal(.text(let text)) = pattern.node {
                let compiled = LikePattern(kind, text)
                return { compiled.matches($0) != isNegated ? 1 : 0 }
            }
        default:
            if let (_, operation, value) = comparison { return text(operation, value) }
        }
        return nil
    }

    /// The pattern of `column LIKE '%text%'`.
    var search: (pattern: LikePattern, isNegated: Bool)? {
        guard case .pattern(let kind, let operand, let pattern, nil, let isNegated) = expression.node,
            case .column = operand.node, case .literal(.text(let text)) = pattern.node
        else { return nil }
        let compiled = LikePattern(kind, text)
        return compiled.searchesWithin ? (compiled, isNegated) : nil
    }

    private func text(_ operation: BinaryOperator, _ value: SQLValue) -> ((UnsafeRawBufferPointer) -> UInt8)? {
        guard let kind = operation.comparison else { return nil }
        switch value {
        case .null: return nil
        case .integer, .double:
            let verdict: UInt8 = [.greater, .greaterOrEqual, .notEqual].contains(kind) ? 1 : 0
            return { _ in verdict }
        case .text(let text):
            let bytes = Array(text.string.utf8)
            return { candidate in
                let order = bytes.withUnsafeBytes { Text.order(candidate, $0) }
                switch kind {
                case .equal: return order == 0 ? 1 : 0
                case .notEqual: return order != 0 ? 1 : 0
                case .less: return order < 0 ? 1 : 0
                case .lessOrEqual: return order <= 0 ? 1 : 0
                case .greater: return order > 0 ? 1 : 0
                default: return order >= 0 ? 1 : 0
                }
            }
        }
    }

    private func textIn(_ list: [Expression], _ isNegated: Bool) -> ((UnsafeRawBufferPointer) -> UInt8)? {
        var texts = StringTable(capacity: list.count)
        for item in list {
            guard case .literal(let value) = item.node else { return nil }
            switch value {
            case .null: return nil
            case .text(let text): _ = text.withBytes { texts.intern($0) }
            // A text column makes texts of numbers; the program knows.
            case .integer, .double: return nil
            }
        }
        let table = TextSet(texts)
        return { (table.texts.find($0) != nil) != isNegated ? 1 : 0 }
    }

    /// Holds a table that closures share.
    private final class TextSet {
        let texts: StringTable
        init(_ texts: consuming StringTable) { self.texts = texts }
    }

    /// The id that `id = '…'` asks for.
    var id: EventID? {
        guard let (name, operation, value) = comparison, name == .fixed(.id),
            operation == .equal || operation == .isSame,
            case .text(let text) = value, let id = EventID(text.string), id.text == text.string
        else { return nil }
        return id
    }
}
