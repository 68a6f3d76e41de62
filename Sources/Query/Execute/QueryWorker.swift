// One thread's part of a query: filters units, groups their rows or gathers their values.

import EventStoreCore

/// What counts when a unit is done.
struct WorkCounts: Sendable {
    var rowsScanned = 0
    var unitsSkipped = 0
}

/// Compiled once per thread. Not shared.
final class QueryWorker {
    let plan: NativePlan
    let context: UnitContext
    private var filters: [RowCondition]
    private let keyNodes: [DenseNode]
    private let inputs: [AggregateInput]
    let itemNodes: [DenseNode]
    let orderNodes: [DenseNode]
    let groups: GroupTable?
    /// Columns that items and keys need beside the filters'.
    let lateColumns: [Int]
    private let filterColumns: [Int]
    var counts = WorkCounts()
    /// Bytes of groups that the query's sum knows of.
    var reportedBytes = 0

    /// A part of WHERE, and how many of the rows it was asked of it kept so far.
    private struct RowCondition {
        var kind: Conjunct.Kind
        var node: FilterNode
        var columns: [Int]
        var cost: Int
        var asked = 0
        var kept = 0

        private static let cheapMax = 4

        /// Dear conditions come after the cheap ones, and of the cheap ones those first that few rows pass.
        var rank: (cost: Int, share: Double) {
            if cost > RowCondition.cheapMax { return (cost, 0) }
            return (0, asked == 0 ? 0.5 : Double(kept) / Double(asked))
        }
    }

    /// An accumulator, and what feeds it.
    private struct AggregateInput {
        var accumulator: any Accumulator
        var arguments: [DenseNode]
        var filter: FilterNode?
    }

    init(_ plan: NativePlan, _ source: any ScanSource, _ environment: QueryEnvironment) throws(Fault) {
        self.plan = plan
        let compiler = Compiler(source, environment.zones)
        var filters: [RowCondition] = []
        for conjunct in plan.conjuncts {
            let node = try compiler.filter(conjunct.expression)
            var columns = compiler.numbers(in: conjunct.expression)
            // Ids themselves are read only where their hash was found.
            if case .id(_, let hash, _) = node { columns = [hash] }
            filters.append(RowCondition(kind: conjunct.kind, node: node, columns: columns, cost: node.cost))
        }
        filters.sort { $0.cost < $1.cost }
        var late: [Int] = []
        func node(_ expression: Expression) throws(Fault) -> DenseNode {
            late += compiler.numbers(in: expression)
            return try compiler.node(expression)
        }
        var keys: [DenseNode] = []
        var items: [DenseNode] = []
        var order: [DenseNode] = []
        var inputs: [AggregateInput] = []
        if let grouped = plan.grouped {
            for key in grouped.keys { keys.append(try node(key)) }
            for call in AccumulatorPlan.distinct(grouped.calls) {
                var arguments: [DenseNode] = []
                for argument in AccumulatorPlan.arguments(call) { arguments.append(try node(argument)) }
                if let filter = call.filter { late += compiler.numbers(in: filter) }
                inputs.append(
                    AggregateInput(
                        accumulator: AccumulatorPlan.make(call), arguments: arguments,
                        filter: try call.filter.map { (filter) throws(Fault) in try compiler.filter(filter) }))
            }
            groups = GroupTable(keyCount: keys.count, accumulators: inputs.map(\.accumulator))
        } else {
            for item in plan.query.items { items.append(try node(item.expression)) }
            for term in plan.query.orderBy { order.append(try node(term.expression)) }
            groups = nil
        }
        self.filters = filters
        self.inputs = inputs
        keyNodes = keys
        itemNodes = items
        orderNodes = order
        filterColumns = Array(Set(filters.flatMap(\.columns))).sorted()
        lateColumns = Array(Set(late)).sorted()
        context = UnitContext(compiler.columns, source, environment.cache)
    }

    // MARK: Filtering

    /// Whether a condition holds for all rows of a unit, by what is known of it.
    private func holds(_ kind: Conjunct.Kind, _ unit: ScanUnit) -> Bool {
        switch kind {
        case .time(let range): range.contains(unit.times.lowerBound) && range.contains(unit.times.upperBound)
        case .entity: !unit.isMemory
        case .type, .other: false
        }
    }

    /// Moves to a unit and keeps its rows that match; false when there are none.
    ///
    /// - Parameter loadsLate: whether columns of the result are read along with those of the conditions.
    func filter(_ unit: ScanUnit, loadsLate: Bool) throws(Fault) -> Bool {
        let active = filters.indices.filter { !holds(filters[$0].kind, unit) }
            .sorted { filters[$0].rank < filters[$1].rank }
        var columns = Set(active.flatMap { filters[$0].columns })
        if loadsLate { columns.formUnion(lateColumns) }
        try context.begin(unit, loading: columns.sorted())
        counts.rowsScanned += context.selection.count
        for number in active {
            filters[number].asked += context.selection.count
            try filters[number].node.narrow(context)
            filters[number].kept += context.selection.count
            if context.selection.count == 0 { return false }
        }
        return context.selection.count > 0
    }

    // MARK: Groups

    func group(_ unit: ScanUnit) throws(Fault) {
        guard let groups, try filter(unit, loadsLate: true) else { return }
        try context.load(lateColumns)
        var keys: [Dense] = []
        for node in keyNodes { keys.append(try node.evaluate(context)) }
        let count = context.selection.count
        let numbers = groups.assign(keys, count: count, context.scratch)
        for input in inputs {
            var arguments: [Dense] = []
            for node in input.arguments { arguments.append(try node.evaluate(context)) }
            if let filter = input.filter {
                let verdicts = try filter.verdicts(context)
                let kept = (0..<count).filter { verdicts[$0] == 1 }
                let chosen = context.scratch.take(kept.count, of: UInt32.self)
                for (place, index) in kept.enumerated() { chosen[place] = numbers[index] }
                try input.accumulator.update(
                    chosen, kept.count, arguments.map { $0.picking(kept, context.scratch) })
            } else {
                try input.accumulator.update(numbers, count, arguments)
            }
        }
    }

    // MARK: Values

    /// The items of the selected rows, a column each.
    func items() throws(Fault) -> [[SQLValue]] {
        var columns: [[SQLValue]] = []
        for node in itemNodes { columns.append(try node.evaluate(context).allValues) }
        return columns
    }
}

/// Which accumulators aggregates need.
enum AccumulatorPlan {
    /// Quantiles of one argument share their numbers.
    private static func shared(_ call: AggregateCall) -> AggregateCall {
        var copy = call
        if call.kind == .quantile { copy.arguments = [call.arguments[0]] }
        if [.total, .average].contains(call.kind) { copy.kind = .sum }
        return copy
    }

    static func distinct(_ calls: [AggregateCall]) -> [AggregateCall] {
        var found: [AggregateCall] = []
        for call in calls where !found.contains(shared(call)) { found.append(shared(call)) }
        return found
    }

    /// The number of the accumulator that answers a call.
    static func index(of call: AggregateCall, in calls: [AggregateCall]) -> Int {
        distinct(calls).firstIndex(of: shared(call)) ?? 0
    }

    /// What an accumulator is fed.
    static func arguments(_ call: AggregateCall) -> [Expression] {
        guard call.kind == .first || call.kind == .last else { return call.arguments }
        let value = call.arguments[0]
        let time = call.arguments.count > 1 ? call.arguments[1] : .fixed(.timestamp)
        return [value, time, call.arguments.count > 2 ? call.arguments[2] : .fixed(.sequence)]
    }

    static func make(_ call: AggregateCall) -> any Accumulator {
        if call.isDistinct { return DistinctAccumulator() }
        switch call.kind {
        case .count: return CountAccumulator()
        case .sum, .total, .average: return SumAccumulator()
        case .minimum: return ExtremeAccumulator(isMaximum: false)
        case .maximum: return ExtremeAccumulator(isMaximum: true)
        case .quantile: return QuantileAccumulator()
        case .first: return EndAccumulator(isLast: false)
        case .last: return EndAccumulator(isLast: true)
        }
    }
}

extension FilterNode {
    /// What a row costs, roughly: cheap conditions go first.
    var cost: Int {
        switch self {
        case .constant: 0
        case .id: 3
        case .test(let test):
            switch test.numbers {
            case .intervals, .fixed: test.text == nil ? 2 : 1
            case .program: test.text == nil ? 20 : 4
            }
        case .and(let nodes), .or(let nodes): nodes.reduce(1) { $0 + $1.cost }
        case .not(let node): node.cost + 1
        case .truth: 30
        case .program: 100
        }
    }
}

extension Dense {
    var allValues: [SQLValue] {
        switch form {
        case .constant(let value): return Array(repeating: value, count: count)
        case .values(let values): return values
        case .codes(let codes, let dictionary):
            var known: [UInt32: SQLValue] = [:]
            return (0..<count).map { index in
                if let value = known[codes[index]] { return value }
                let value = dictionary.value(codes[index])
                known[codes[index]] = value
                return value
            }
        case .integers, .doubles: return (0..<count).map { value($0) }
        }
    }

    /// The values at these places.
    func picking(_ places: [Int], _ scratch: Scratch) -> Dense {
        let picked = places.count
        var nullsHere: UnsafeMutablePointer<UInt8>?
        if let nulls {
            let target = scratch.take(picked, of: UInt8.self)
            for (index, place) in places.enumerated() { target[index] = nulls[place] }
            nullsHere = target
        }
        func pick<T: BitwiseCopyable>(_ source: UnsafeMutablePointer<T>) -> UnsafeMutablePointer<T> {
            let target = scratch.take(picked, of: T.self)
            for (index, place) in places.enumerated() { target[index] = source[place] }
            return target
        }
        switch form {
        case .constant: return Dense(form, count: picked)
        case .integers(let values): return Dense(.integers(pick(values)), nulls: nullsHere, count: picked)
        case .doubles(let values): return Dense(.doubles(pick(values)), nulls: nullsHere, count: picked)
        case .codes(let codes, let dictionary): return Dense(.codes(pick(codes), dictionary), count: picked)
        case .values(let values): return Dense(.values(places.map { values[$0] }), count: picked)
        }
    }
}
