// From groups to rows: HAVING, order, limit, and only then the values of what is left.

import EventStoreCore

struct GroupedResult {
    private let plan: NativePlan
    private let grouped: GroupedPlan
    private let table: GroupTable
    private let environment: QueryEnvironment
    private var zones: any ZoneSource { environment.zones }
    private let accumulators: [Int]

    init(_ plan: NativePlan, _ grouped: GroupedPlan, _ table: GroupTable, _ environment: QueryEnvironment) {
        self.plan = plan
        self.grouped = grouped
        self.table = table
        self.environment = environment
        accumulators = grouped.calls.map { AccumulatorPlan.index(of: $0, in: grouped.calls) }
    }

    /// Values of some slots of a group; the others stay NULL.
    private func fill(_ slots: inout [SQLValue], _ group: Int, _ wanted: [Int]) throws(Fault) {
        for slot in wanted {
            if slot < grouped.keys.count {
                slots[slot] = table.key(group, slot)
            } else {
                let call = slot - grouped.keys.count
                slots[slot] = try table.accumulators[accumulators[call]].result(group, grouped.calls[call])
            }
        }
    }

    func rows() throws(Fault) -> [[SQLValue]] {
        let slotCount = max(1, grouped.keys.count + grouped.calls.count)
        var slots = [SQLValue](repeating: .null, count: slotCount)
        func value(_ program: ScalarProgram) throws(Fault) -> SQLValue {
            try slots.withUnsafeBufferPointer { (slots) throws(Fault) in try program.value(slots.baseAddress!) }
        }
        let chosen = try chosenGroups(&slots)
        try prepareQuantiles(chosen)
        var programs: [ScalarProgram] = []
        for item in grouped.items { programs.append(try ScalarProgram(item, zones: zones)) }
        let wanted = Array(grouped.items.reduce(into: Set<Int>()) { $0.formUnion($1.slots) }).sorted()
        var columns: [[SQLValue]] = programs.map { _ in [] }
        for group in chosen {
            try fill(&slots, group, wanted)
            for (column, program) in programs.enumerated() { columns[column].append(try value(program)) }
        }
        return plan.query.isDistinct ? distinct(columns) : columns
    }

    private func prepareQuantiles(_ chosen: [Int]) throws(Fault) {
        for (number, accumulator) in table.accumulators.enumerated() {
            guard let quantiles = accumulator as? QuantileAccumulator else { continue }
            let shares = grouped.calls.indices.compactMap { call -> Double? in
                guard accumulators[call] == number, grouped.calls[call].arguments.count > 1,
                    case .literal(let share) = grouped.calls[call].arguments[1].node
                else { return nil }
                return share.asDouble.flatMap { (0...1).contains($0) ? $0 : nil }
            }
            let environment = environment
            try quantiles.prepare(chosen, shares) { (count, body) throws(Fault) in
                let next = SharedCounter()
                try environment.parallel(min(environment.threads, count)) { (_) throws(Fault) in
                    while let index = next.take(below: count) { try body(index) }
                }
            }
        }
    }

    /// Groups that pass HAVING, in order, between offset and limit.
    private func chosenGroups(_ slots: inout [SQLValue]) throws(Fault) -> [Int] {
        let query = plan.query
        let having = try grouped.having.map { (having) throws(Fault) in try ScalarProgram(having, zones: zones) }
        var order: [ScalarProgram] = []
        for term in grouped.order { order.append(try ScalarProgram(term, zones: zones)) }
        var wanted: Set<Int> = grouped.having?.slots ?? []
        for term in grouped.order { wanted.formUnion(term.slots) }
        let needed = wanted.sorted()
        let ordering = RowOrdering(query.orderBy)
        // The first few of many are kept in a heap.
        let few = query.isDistinct || query.orderBy.isEmpty ? nil : query.rowsWanted
        let top = few.flatMap { $0 < table.count / 4 ? TopRows($0, ordering) : nil }
        var found: [SortedRow] = []
        if top == nil { found.reserveCapacity(table.count) }
        groups: for group in 0..<table.count {
            try fill(&slots, group, needed)
            if let having {
                let holds = try slots.withUnsafeBufferPointer { (slots) throws(Fault) in
                    try having.value(slots.baseAddress!).truth
                }
                if holds != true { continue }
            }
            var row = SortedRow(keys: [], unit: 0, row: group)
            for (number, program) in order.enumerated() {
                let key = try slots.withUnsafeBufferPointer { (slots) throws(Fault) in
                    try program.value(slots.baseAddress!)
                }
                if number == 0, let top, top.excludes(firstKey: key) { continue groups }
                row.keys.append(key)
            }
            if let top { top.add(row) } else { found.append(row) }
        }
        if let top {
            found = top.sorted()
        } else if !query.orderBy.isEmpty {
            found.sort { ordering.precedes($0, $1) }
        }
        // Rows made equal by DISTINCT are counted after they were made.
        let start = query.isDistinct ? 0 : min(query.offset, found.count)
        let end = query.isDistinct ? found.count : query.rowsWanted.map { min(found.count, $0) } ?? found.count
        return found[start..<end].map(\.row)
    }

    private func distinct(_ columns: [[SQLValue]]) -> [[SQLValue]] {
        guard let count = columns.first?.count else { return columns }
        let seen = GroupTable(keyCount: columns.count, accumulators: [])
        var kept: [Int] = []
        for row in 0..<count {
            let known = seen.count
            _ = seen.group(columns.map { $0[row] })
            if seen.count > known { kept.append(row) }
        }
        let start = min(plan.query.offset, kept.count)
        let end = plan.query.rowsWanted.map { min(kept.count, $0) } ?? kept.count
        return columns.map { column in kept[start..<end].map { column[$0] } }
    }
}
