// Queries with aggregates: keys, HAVING, FILTER, and how exactly each aggregate must agree.

import EventStore

extension QueryGenerator {
    mutating func grouped() -> Question {
        var question = Question()
        question.isGrouped = true
        note("aggregates")
        question.conditions = conditions(random.pick([0, 0, 1, 1, 2, 2, 3, 4]))
        let keyCount = random.pick([0, 1, 1, 1, 1, 2, 2, 3])
        note("GROUP BY \(keyCount)")
        var items: [ResultItem] = []
        for place in 0..<keyCount { items.append(key(place, &question)) }
        for place in 0..<random.within(keyCount == 0 ? 1...4 : 0...3) {
            var item = aggregateItem()
            if random.percent(50) { item.alias = "n\(place)" }
            items.append(item)
        }
        if random.percent(25) { random.shuffle(&items) }
        // Numbers in GROUP BY must still point at their keys.
        question.items = items
        for place in 0..<keyCount { question.groupBy.append(groupKey(place, question)) }
        if keyCount > 0, random.percent(12), question.items.count > 1 { dropKey(&question) }
        if random.percent(25) { question.having = [having(question)] }
        if keyCount > 0 {
            if random.percent(65) { orderByItems(&question) }
            if question.orderBy.isEmpty || random.percent(15) { orderByAggregate(&question) }
            if random.percent(4) {
                note("DISTINCT groups")
                question.isDistinct = question.orderBy.allSatisfy { $0.item != nil }
                for place in question.items.indices {
                    if case .exact = question.items[place].match { question.items[place].match = .canonical }
                }
                if question.items.contains(where: { if case .near = $0.match { true } else { false } }) {
                    question.isDistinct = false
                }
            }
            limit(&question, share: 45)
        }
        return question
    }

    /// A key as an item; its alias says which key it is.
    private mutating func key(_ place: Int, _ question: inout Question) -> ResultItem {
        let sql = random.percent(70) ? mention(random.pick(Column.grouping), alone: true) : keyExpression()
        return ResultItem(sql, alias: "k\(place)", match: sql.traits.contains(.mixesNumbers) ? .canonical : .exact)
    }

    /// The key as GROUP BY writes it: the expression, its alias or its number.
    private mutating func groupKey(_ place: Int, _ question: Question) -> Fragment {
        guard let index = question.items.firstIndex(where: { $0.alias == "k\(place)" }) else { return "1" }
        switch random.below(10) {
        case 0..<2:
            note("GROUP BY alias")
            return "k\(place)"
        case 2..<4:
            note("GROUP BY number")
            return "\(index + 1)"
        default: return question.items[index].sql
        }
    }

    /// Leaves a key out of the result, if nothing points at it.
    private mutating func dropKey(_ question: inout Question) {
        guard let index = question.items.firstIndex(where: { $0.alias?.hasPrefix("k") == true }) else { return }
        note("key not selected")
        let keys = question.items.filter { $0.alias?.hasPrefix("k") == true }
            .sorted { ($0.alias ?? "") < ($1.alias ?? "") }
        question.groupBy = keys.map(\.sql)
        question.items.remove(at: index)
    }

    /// An expression with not too many values.
    mutating func keyExpression() -> Fragment {
        note("key is an expression")
        switch random.below(12) {
        case 0..<4: return timeBucket()
        case 4: return part("lower(\(column("method")))").with(.textual)
        case 5:
            return part("substr(\(mention(random.pick(Column.textual))), 1, \(random.within(1...4)))").with(.textual)
        case 6: return part("typeof(\(mention(random.pick(Column.all))))").with(.textual)
        case 7: return "\(column("status")) / 100"
        case 8: return "coalesce(\(mention(random.pick(Column.grouping))), 'none')"
        case 9: return part("length(\(mention(random.pick(Column.readable))))").with(.numeric)
        case 10: return part("(\(leaf()))").with(.numeric)
        default: return part("CASE WHEN \(leaf()) THEN 'yes' WHEN \(leaf()) THEN 'no' END").with(.textual)
        }
    }

    // MARK: Aggregates

    mutating func aggregateItem() -> ResultItem {
        guard random.percent(12) else { return aggregate() }
        note("arithmetic over aggregates")
        switch random.below(4) {
        case 0: return ResultItem("count(*) * 2 + \(random.below(5))")
        case 1: return ResultItem("100.0 * count(\(mention(random.pick(Column.all)))) / count(*)")
        case 2:
            let column = mention(random.pick(Column.calm.filter { $0.traits.isDisjoint(with: [.textual, .noText]) }))
            let average = Fragment([.sum("avg", column, isDistinct: false)])
            return ResultItem("round(\(average), 2)", match: .near(average, step: 0.0101))
        default:
            let column = mention(random.pick(Column.wholeNumbers))
            return ResultItem("max(\(column)) - min(\(column))")
        }
    }

    private mutating func aggregate() -> ResultItem {
        switch random.below(20) {
        case 0..<5:
            note("count(*)")
            return filtered(ResultItem("count(*)"))
        case 5..<7:
            note("count(x)")
            return filtered(ResultItem("count(\(value()))"))
        case 7..<9:
            note("count(DISTINCT)")
            return filtered(ResultItem("count(DISTINCT \(mention(random.pick(Column.all))))"))
        case 9..<13: return filtered(sum())
        case 13..<16: return filtered(extreme())
        case 16..<18: return quantile()
        default: return filtered(firstOrLast())
        }
    }

    /// `FILTER (WHERE …)` behind an aggregate, now and then.
    private mutating func filtered(_ item: ResultItem) -> ResultItem {
        guard random.percent(12) else { return item }
        note("FILTER")
        let condition = leaf()
        var item = item
        item.sql = Fragment("\(item.sql) FILTER (WHERE \(condition))" as Fragment, only: item.sql.traits)
        if case .near(let bound, let step) = item.match {
            item.match = .near("\(bound) FILTER (WHERE \(condition))", step: step)
        }
        return item
    }

    private mutating func sum() -> ResultItem {
        let name = random.pick(["sum", "sum", "avg", "avg", "total"])
        note(name)
        var argument = random.percent(75) ? mention(pick(Column.numeric)) : numeric(depth: 2)
        var isDistinct = false
        if random.percent(6), let huge = Column.all.first(where: { $0.traits.contains(.huge) }) {
            note("sum that overflows")
            argument = mention(huge)
        }
        if random.percent(8) {
            // Of 1 and 1.0 either may stay, and with it the kind of the sum: only columns of one kind.
            argument = mention(random.pick(Column.calm.filter { !$0.traits.contains(.mixesNumbers) }))
            isDistinct = true
            note(name + "(DISTINCT)")
        }
        let sql = Fragment([.sum(name, argument, isDistinct: isDistinct)], argument.traits)
        let isExact = name == "sum" && argument.traits.isDisjoint(with: [.doubles, .mixesNumbers, .textual])
        return ResultItem(sql, match: isExact ? .exact : .near(sql))
    }

    private mutating func extreme() -> ResultItem {
        let name = random.pick(["min", "max"])
        note(name)
        let argument = random.percent(80) ? mention(pick(Column.all)) : value()
        let distinct = random.percent(4) ? "DISTINCT " : ""
        var item = ResultItem(
            "\(name)(\(distinct)\(argument))", match: argument.traits.contains(.mixesNumbers) ? .canonical : .exact)
        if case .column(let mention)? = argument.pieces.first, mention.name == "attributes" {
            item = ResultItem("\(name)(\(column("timestamp")))")
        }
        return item
    }

    private mutating func quantile() -> ResultItem {
        note("quantile")
        let column = mention(random.pick(Column.calm.filter { !$0.traits.contains(.textual) }))
        let share = random.pick(["0.5", "0.95", "0.99", "0", "1", "0.25"])
        return ResultItem("quantile(\(column), \(share))", match: .near("max(abs(\(column)))"))
    }

    private mutating func firstOrLast() -> ResultItem {
        let name = random.pick(["first", "last"])
        note(name)
        let argument = mention(random.pick(Column.all))
        var order: Fragment?
        if random.percent(25) {
            note(name + "(x, y)")
            order = mention(Column.fixed[random.within(2...4)])
        }
        return ResultItem(Fragment([.ordered(name, argument, by: order)], argument.traits))
    }

    private mutating func having(_ question: Question) -> Fragment {
        note("HAVING")
        switch random.below(6) {
        case 0..<3: return "count(*) \(random.pick([">", ">=", "<>", "<"])) \(random.pick([0, 1, 1, 2, 5, 20]))"
        case 3: return "max(\(mention(Column.fixed[2]))) >= \(literal(.integer(events[pivot].timestamp)))"
        case 4:
            let column = mention(random.pick(Column.wholeNumbers))
            return "\(Fragment([.sum("sum", column, isDistinct: false)])) > \(random.below(100))"
        default:
            guard let key = question.items.first(where: { $0.alias == "k0" }) else { return "count(*) > 0" }
            return "\(key.sql) IS NOT NULL"
        }
    }

    private mutating func orderByAggregate(_ question: inout Question) {
        note("ORDER BY aggregate")
        let expression: Fragment =
            random.percent(60) ? "count(*)" : "max(\(mention(Column.fixed[random.within(2...3)])))"
        var key = OrderKey(sql: expression, expression: expression)
        direct(&key)
        question.orderBy.append(key)
    }
}
