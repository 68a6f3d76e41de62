// Queries at boundaries: limits that end where a run of equal keys does, values that are the least or greatest of an
// entity, numbers beside the limits of 64 bits. Random queries seldom meet them, and mistakes by one live there.

import EventStore

extension QueryGenerator {
    mutating func boundary() -> Question {
        // What a large entity is for: blocks that can be ruled out by their zones.
        if events.count >= Population.tallRows.lowerBound { return random.percent(70) ? extremes() : ties() }
        switch random.below(10) {
        case 0..<5: return ties()
        case 5..<8: return extremes()
        default: return overflow()
        }
    }

    /// A scope as a condition, and the events in it.
    private mutating func scope() -> (conditions: [Fragment], events: [Event]) {
        let own = events[pivot]
        switch random.below(10) {
        case 0..<3:
            let name: Fragment = "entity = \(literal(.text(own.entity)))"
            return ([name], events.filter { Cell.order($0.entity, own.entity) == 0 })
        case 3..<5:
            let name: Fragment = "type = \(literal(.text(own.type)))"
            return ([name], events.filter { Cell.order($0.type, own.type) == 0 })
        default: return ([], events)
        }
    }

    // MARK: Ties

    /// An order with few distinct keys, and a limit at, before or behind the end of one of its runs.
    private mutating func ties() -> Question {
        note("LIMIT at the end of a run")
        var question = Question()
        var (conditions, scope) = scope()
        let choices = Column.grouping.filter { $0.traits.isDisjoint(with: [.mixesNumbers, .doubles, .textual]) }
        let column =
            random.percent(30) ? Column.fixed[random.percent(60) ? 4 : 2] : pick(choices)
        if !column.isFixed, random.percent(60) {
            conditions.append("\(mention(column, alone: true)) IS NOT NULL")
            scope = scope.filter { column.value(of: $0) != .null }
        }
        let key = mention(column)
        var first = OrderKey(sql: key, expression: key)
        direct(&first)
        question.orderBy = [first]
        if random.percent(25) {
            let second = mention(random.pick(choices))
            var key = OrderKey(sql: second, expression: second)
            direct(&key)
            question.orderBy.append(key)
        }
        let tie = column.name == "timestamp" && random.percent(50) ? "id" : "sequence"
        if random.percent(75) {
            note("ORDER BY ends with " + tie)
            let last = self.column(tie)
            question.orderBy.append(OrderKey(sql: last, expression: last, isDescending: random.percent(50)))
        } else {
            question.checksPage = true
        }
        question.conditions = conditions
        question.items = [ResultItem(self.column("sequence")), ResultItem(key)] + items(random.within(0...2))
        let runs = runs(scope.map { column.value(of: $0) }, isDescending: first.isDescending)
        let chosen = random.below(max(1, min(runs.count, 3)))
        let end = runs.prefix(chosen + 1).reduce(0, +)
        // Few rows more often: only then is a unit large beside the limit.
        let inside = max(1, end - random.below(max(1, runs.isEmpty ? 1 : runs[chosen])))
        let limit = random.percent(40) ? random.within(1...max(1, min(12, inside))) : random.percent(50) ? inside : end
        question.limit = max(1, limit + random.pick([-1, 0, 0, 1]))
        if random.percent(20) {
            note("OFFSET")
            question.offset = random.pick([1, 2, max(0, end - 1), end])
        }
        return question
    }

    /// How many equal values stand together when they are in order, NULL first or, descending, last.
    private func runs(_ values: [Cell], isDescending: Bool) -> [Int] {
        let sorted = values.map(\.canonical).sorted { Cell.sqlOrder($0, $1) < 0 }
        var runs: [Int] = []
        for (place, value) in sorted.enumerated() {
            if place > 0, sorted[place - 1] == value { runs[runs.count - 1] += 1 } else { runs.append(1) }
        }
        return isDescending ? runs.reversed() : runs
    }

    // MARK: Least and greatest

    /// Conditions on the least or greatest value that an entity has on a day or at all.
    private mutating func extremes() -> Question {
        note("least or greatest value")
        // The zones of a large entity's blocks span its days.
        let isTall = events.count >= Population.tallRows.lowerBound
        var question = Question()
        if isTall, random.percent(60) {
            let zoned = events.indices.filter { events[$0].entity == Population.entityNames[1] }
            pivot = zoned[random.below(zoned.count)]
        }
        let own = events[pivot]
        let column = pick(
            random.percent(isTall ? 10 : 40) ? Array(Column.fixed[2...4]) : Column.calm.filter { !$0.isFixed })
        let isAll = random.percent(isTall ? 5 : 30)
        let isOfDay = random.percent(isTall ? 5 : 60)
        let values = events.compactMap { event -> Cell? in
            if !isAll, Cell.order(event.entity, own.entity) != 0 { return nil }
            if isOfDay, event.timestamp / Population.dayMs != own.timestamp / Population.dayMs { return nil }
            let value = column.value(of: event)
            return value.number == nil ? nil : value
        }.sorted { Cell.sqlOrder($0, $1) < 0 }
        if random.percent(isAll ? 20 : 80) { question.conditions.append("entity = \(literal(.text(own.entity)))") }
        question.conditions.append(extreme(column, values, isEqual: isTall && random.percent(60)))
        if random.percent(25) { question.conditions.append(leaf()) }
        if random.percent(50) {
            question.isGrouped = true
            question.items = [
                ResultItem("count(*)"), ResultItem("min(\(self.column("sequence")))"),
                ResultItem("max(\(self.column("sequence")))"),
            ]
        } else {
            question.items = [ResultItem(self.column("sequence"))] + items(random.within(0...2))
            if random.percent(50) { orderRows(&question) }
        }
        return question
    }

    /// - Parameter isEqual: asks for the very value, as only such conditions rule blocks out.
    private mutating func extreme(_ column: Column, _ values: [Cell], isEqual: Bool) -> Fragment {
        guard let least = values.first, let greatest = values.last else { return nullTest(column) }
        let isLeast = random.percent(50)
        let bound = isLeast ? least : greatest
        let name = mention(column, alone: true)
        switch isEqual ? 0 : random.below(10) {
        case 0..<4: return "\(name) = \(literal(bound))"
        case 4: return "\(name) IN (\(literal(bound)), \(literal(values[random.below(values.count)])))"
        case 5: return "\(name) \(isLeast ? "<=" : ">=") \(literal(bound))"
        case 6: return "\(name) \(isLeast ? ">" : "<") \(literal(bound))"
        case 7: return "\(name) BETWEEN \(literal(beside(bound, -5))) AND \(literal(bound))"
        case 8: return "\(name) BETWEEN \(literal(bound)) AND \(literal(beside(bound, 5)))"
        default: return "\(name) \(isLeast ? "<" : ">") \(literal(beside(bound, isLeast ? 1 : -1)))"
        }
    }

    private func beside(_ cell: Cell, _ distance: Int64) -> Cell {
        switch cell {
        case .integer(let number): .integer(number &+ distance)
        case .real(let number): .real(number + Double(distance))
        default: cell
        }
    }

    // MARK: 64 bits

    /// Sums, differences, products and absolute values about the limits of 64 bits.
    private mutating func overflow() -> Question {
        note("64-bit limits")
        var question = Question()
        question.conditions = scope().conditions
        let big = mention(Column.all.first { $0.traits.contains(.huge) } ?? Column.all[0])
        let key = mention(random.pick(Column.grouping.filter { $0.traits.isDisjoint(with: [.mixesNumbers]) }))
        let key64 = ResultItem(key, alias: "k0")
        let isGrouped = random.percent(50)
        switch random.below(10) {
        case 0..<4:
            note("sum at 64-bit limits")
            // Totals in and out of range: of numbers of both signs, and of few that are half the range.
            let small = mention(pick(Column.attributes.filter { $0.name == "small" || $0.name == "status" }))
            let argument: Fragment =
                switch random.below(4) {
                case 0: big
                case 1: "(\(small) % 3 * 4611686018427387904)"
                case 2: "CASE WHEN \(small) % 2 = 0 THEN 9223372036854775807 ELSE -1 END"
                default: "(\(small) % 2 * 3074457345618258603)"
                }
            question.isGrouped = true
            let sum = Fragment([.sum("sum", argument.with([]), isDistinct: false)])
            question.items = [ResultItem(sum), ResultItem("count(*)")]
            if isGrouped {
                question.items.insert(key64, at: 0)
                question.groupBy = [key]
            }
        case 4..<9:
            note("arithmetic overflow")
            let product: Fragment = "timestamp * \(literal(.integer(Int64.max / max(1, events[pivot].timestamp))))"
            let other = literal(.integer(random.pick([1, -1, 2, .max, .min + 1, 1 << 62])))
            let value: Fragment =
                random.percent(20) ? product : "(\(big) \(random.pick(["+", "-", "*"])) \(other))"
            question.items = [ResultItem(column("sequence")), ResultItem(value)]
            if random.percent(30) {
                question.conditions.append("\(value) \(comparisonSign()) \(literal(.integer(random.pick([0, .max]))))")
            }
            if random.percent(50) { orderRows(&question) }
        default:
            note("abs at 64-bit limits")
            question.isGrouped = true
            // Without the condition both must refuse, if the least integer is there.
            if random.percent(70) { question.conditions.append("\(big) > \(literal(.integer(.min)))") }
            question.items = [ResultItem("max(abs(\(big)))"), ResultItem("count(abs(\(big)))")]
        }
        return question
    }
}
