// What a query asks of the scan and of the work after it, before any row is read.

import EventStoreCore

/// A part of the WHERE condition that must hold, and what the index makes of it.
struct Conjunct: Sendable {
    enum Kind: Sendable {
        /// Whole segments can be known to lie inside.
        case time(ClosedRange<Int64>)
        /// The scan gives only rows of these entities.
        case entity
        case type
        case other
    }
    var expression: Expression
    var kind: Kind

    /// Whether it asks for one id or sequence.
    var isSelective: Bool {
        guard case .binary(let operation, let left, let right) = expression.node,
            operation == .equal || operation == .isSame
        else { return false }
        return [left, right].contains { $0 == .fixed(.id) || $0 == .fixed(.sequence) }
    }
}

/// A grouped query: keys, aggregates, and what is made of them. Slots 0 ..< keys.count are keys, then come aggregates.
struct GroupedPlan: Sendable {
    var keys: [Expression]
    var calls: [AggregateCall] = []
    var items: [Expression] = []
    var having: Expression?
    var order: [Expression] = []
}

struct NativePlan: Sendable {
    var query: SelectQuery
    var scope = ScanScope()
    var conjuncts: [Conjunct] = []
    var grouped: GroupedPlan?

    init(_ original: SelectQuery, _ source: any ScanSource, _ zones: any ZoneSource) throws(Fault) {
        query = try NativePlan.folded(original, zones)
        if query.isDistinct, !query.isGrouped {
            // Distinct rows are groups without aggregates.
            query.groupBy = query.items.map(\.expression)
            query.isDistinct = false
        }
        if let condition = query.condition { analyse(condition, source) }
        if query.isGrouped || !query.groupBy.isEmpty { grouped = NativePlan.grouped(query) }
    }

    private static func folded(_ original: SelectQuery, _ zones: any ZoneSource) throws(Fault) -> SelectQuery {
        var query = original
        for index in query.items.indices {
            query.items[index].expression = try Folding.fold(query.items[index].expression, zones: zones)
        }
        if let condition = query.condition { query.condition = try Folding.fold(condition, zones: zones) }
        for index in query.groupBy.indices {
            query.groupBy[index] = try Folding.fold(query.groupBy[index], zones: zones)
        }
        if let having = query.having { query.having = try Folding.fold(having, zones: zones) }
        for index in query.orderBy.indices {
            query.orderBy[index].expression = try Folding.fold(query.orderBy[index].expression, zones: zones)
        }
        return query
    }

    // MARK: Conditions

    private mutating func analyse(_ condition: Expression, _ source: any ScanSource) {
        if case .binary(.and, let left, let right) = condition.node {
            analyse(left, source)
            analyse(right, source)
            return
        }
        if case .between(let value, let low, let high, isNegated: false) = condition.node, value.isColumn {
            analyse(Expression(.binary(.greaterOrEqual, value, low), condition.range), source)
            analyse(Expression(.binary(.lessOrEqual, value, high), condition.range), source)
            return
        }
        var kind = Conjunct.Kind.other
        if let times = ScopeAnalysis.times(condition) {
            kind = .time(times)
            let lower = max(scope.times.lowerBound, times.lowerBound)
            let upper = min(scope.times.upperBound, times.upperBound)
            if lower <= upper { scope.times = lower...upper } else { scope.isEmpty = true }
        } else if let names = ScopeAnalysis.names(condition, .entity) {
            kind = .entity
            scope.entities = ScopeAnalysis.narrow(scope.entities, names.compactMap { source.entityNumber($0) })
        } else if let names = ScopeAnalysis.names(condition, .type) {
            kind = .type
            scope.types = ScopeAnalysis.narrow(scope.types, names.compactMap { source.typeNumber($0) })
        } else if case .literal(let value) = condition.node, value.truth != true {
            scope.isEmpty = true
        }
        if scope.entities?.isEmpty == true || scope.types?.isEmpty == true { scope.isEmpty = true }
        conjuncts.append(Conjunct(expression: condition, kind: kind))
    }

    // MARK: Groups

    private static func grouped(_ query: SelectQuery) -> GroupedPlan {
        var plan = GroupedPlan(keys: query.groupBy)
        func slotted(_ expression: Expression) -> Expression {
            expression.replacing { part in
                if let key = query.groupBy.firstIndex(of: part) {
                    return Expression(.slot(key, part.affinity), part.range)
                }
                guard case .aggregate(let call) = part.node else { return nil }
                let place = plan.calls.firstIndex(of: call) ?? plan.calls.count
                if place == plan.calls.count { plan.calls.append(call) }
                return Expression(.slot(query.groupBy.count + place, .none), part.range)
            }
        }
        plan.items = query.items.map { slotted($0.expression) }
        plan.having = query.having.map { slotted($0) }
        plan.order = query.orderBy.map { slotted($0.expression) }
        return plan
    }

    /// Whether all the conditions say nothing but which entities, types and times.
    var isOfIndexOnly: Bool {
        conjuncts.allSatisfy { if case .other = $0.kind { false } else { true } }
    }
}

extension Expression {
    var isColumn: Bool { if case .column = node { true } else { false } }

    /// Columns of slots in the expression.
    var slots: Set<Int> {
        var found: Set<Int> = []
        visit { if case .slot(let number, _) = $0.node { found.insert(number) } }
        return found
    }
}

/// Recognises conditions the index knows.
enum ScopeAnalysis {
    /// The closed range of times that `timestamp op literal` allows; `nil` for other conditions.
    static func times(_ condition: Expression) -> ClosedRange<Int64>? {
        guard case .binary(let operation, let left, let right) = condition.node else { return nil }
        var kind = operation
        var literal = right
        if case .column(.fixed(.timestamp)) = left.node {
        } else if case .column(.fixed(.timestamp)) = right.node {
            kind = operation.mirrored
            literal = left
        } else {
            return nil
        }
        guard kind != .notEqual, kind != .isNotSame, let comparison = kind.comparison,
            case .literal(let value) = literal.node
        else { return nil }
        let test: NumberTest<Int64>?
        switch value {
        case .integer(let number): test = .compile(comparison, number)
        case .double(let number): test = .compile(comparison, number)
        case .null, .text: return nil
        }
        guard let test, !test.isComplement, test.lower <= test.upper else { return nil }
        return test.lower...test.upper
    }

    /// The names that `column = 'name'` or `column IN (…)` allow.
    static func names(_ condition: Expression, _ column: FixedColumn) -> [Text]? {
        switch condition.node {
        case .binary(let operation, let left, let right) where operation == .equal || operation == .isSame:
            if left == .fixed(column), case .literal(.text(let text)) = right.node { return [text] }
            if right == .fixed(column), case .literal(.text(let text)) = left.node { return [text] }
        case .inList(let value, let list, isNegated: false) where value == .fixed(column):
            var names: [Text] = []
            for item in list {
                guard case .literal(.text(let text)) = item.node else { return nil }
                names.append(text)
            }
            return names
        default: break
        }
        return nil
    }

    static func narrow(_ known: [UInt32]?, _ found: [UInt32]) -> [UInt32] {
        let sorted = Set(found).sorted()
        return known.map { known in sorted.filter { known.contains($0) } } ?? sorted
    }
}
