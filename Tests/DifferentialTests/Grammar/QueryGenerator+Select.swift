// Queries over one table that give events: items, conditions, order, limits, DISTINCT.

import EventStore

extension QueryGenerator {
    /// What a page of a dashboard asks: an entity, a type, attributes, a time range, newest first, a limit.
    mutating func dashboard() -> Question {
        note("dashboard")
        if random.percent(35) {
            var question = grouped()
            question.conditions = dashboardConditions()
            limit(&question, share: 90)
            return question
        }
        var question = Question()
        question.items = random.percent(25) ? [.star] : items(random.within(2...6))
        question.conditions = dashboardConditions()
        if random.percent(85) {
            note("ORDER BY newest first")
            for name in ["timestamp", "sequence"] {
                let column = column(name)
                question.orderBy.append(OrderKey(sql: column, expression: column, isDescending: true))
            }
        }
        limit(&question, share: 95)
        return question
    }

    private mutating func dashboardConditions() -> [Fragment] {
        note("three predicates, range and limit")
        var conditions = [timeRange()]
        if random.percent(80) { conditions.append(entityOrType()) }
        let more = max(3 - conditions.count + 1, random.within(1...4))
        conditions += self.conditions(more)
        random.shuffle(&conditions)
        return conditions
    }

    mutating func plain() -> Question {
        var question = Question()
        note("plain SELECT")
        question.conditions = conditions(random.pick([0, 1, 1, 2, 2, 3, 3, 4, 5, 6]))
        if random.percent(12) {
            note("DISTINCT")
            question.isDistinct = true
            question.items = (0..<random.within(1...2)).map { _ in distinctItem() }
            if random.percent(60) { orderByItems(&question) }
        } else {
            question.items = random.percent(8) ? [.star] : items(random.within(1...5))
            if random.percent(65) { orderRows(&question) }
        }
        limit(&question, share: question.conditions.count < 2 ? 85 : 50)
        return question
    }

    mutating func items(_ count: Int) -> [ResultItem] {
        (0..<count).map { place in
            var item = ResultItem(value())
            if random.percent(20) {
                note("alias")
                item.alias = "v\(place)"
            }
            if case .column(let mention)? = item.sql.pieces.first, mention.name == "attributes" { item.match = .json }
            return item
        }
    }

    /// Any expression over a row.
    mutating func value() -> Fragment {
        switch random.below(20) {
        case 0..<12:
            return mention(random.percent(30) ? random.pick(Column.fixed) : pick(Column.attributes), alone: true)
        case 12..<15: return numeric(depth: 2)
        case 15..<17: return text(depth: 1)
        case 17: return choice(mention(pick(Column.attributes)), mention(pick(Column.attributes)))
        case 18:
            note("predicate as value")
            return "(\(leaf()))"
        default:
            note("column attributes")
            return Fragment([.column(ColumnMention(name: "attributes", isFixed: true, style: .bare, table: table))])
        }
    }

    private mutating func distinctItem() -> ResultItem {
        let value = random.percent(70) ? mention(random.pick(Column.grouping), alone: true) : keyExpression()
        return ResultItem(value, match: value.traits.contains(.mixesNumbers) ? .canonical : .exact)
    }

    // MARK: Order and limits

    mutating func limit(_ question: inout Question, share: Int) {
        guard random.percent(share) else { return }
        note("LIMIT")
        question.limit = random.pick([1, 2, 3, 5, 10, 10, 20, 50, 100, 1000])
        if random.percent(2) {
            note("LIMIT 0 or -1")
            question.limit = random.pick([0, -1])
        }
        if random.percent(20) {
            note("OFFSET")
            question.offset = random.pick([0, 1, 1, 2, 3, 10])
        }
    }

    mutating func orderRows(_ question: inout Question) {
        for _ in 0..<random.within(1...3) {
            var key: OrderKey
            if random.percent(15), !question.items[0].isStar {
                key = itemKey(question, random.below(question.items.count))
                if case .json = question.items[key.item ?? 0].match { continue }
            } else {
                let expression =
                    random.percent(45)
                    ? mention(random.pick(Column.fixed))
                    : random.percent(75) ? mention(pick(Column.attributes)) : "(\(numeric(depth: 1))) + 0"
                key = OrderKey(sql: expression, expression: expression)
            }
            direct(&key)
            question.orderBy.append(key)
        }
        note("ORDER BY \(question.orderBy.count)")
        if random.percent(35) {
            let tie = column("sequence")
            question.orderBy.append(OrderKey(sql: tie, expression: tie, isDescending: random.percent(50)))
        }
    }

    mutating func orderByItems(_ question: inout Question) {
        var places = Array(question.items.indices)
        random.shuffle(&places)
        for place in places.prefix(random.within(1...places.count)) {
            var key = itemKey(question, place)
            direct(&key)
            question.orderBy.append(key)
        }
        note("ORDER BY \(question.orderBy.count)")
    }

    /// An item of the result by its number, its alias, or the same expression again.
    mutating func itemKey(_ question: Question, _ place: Int) -> OrderKey {
        let item = question.items[place]
        let sql: Fragment
        if let alias = item.alias, random.percent(70) {
            note("ORDER BY alias")
            sql = Fragment(alias)
        } else if random.percent(60) || !question.compounds.isEmpty {
            note("ORDER BY number")
            sql = "\(place + 1)"
        } else {
            sql = item.sql
        }
        var match = item.match
        if case .exact = match { match = .canonical }
        return OrderKey(sql: sql, expression: item.sql, match: match, item: place)
    }

    mutating func direct(_ key: inout OrderKey) {
        key.isDescending = random.percent(50)
        note(key.isDescending ? "ORDER BY DESC" : "ORDER BY ASC")
        if random.percent(15) {
            key.nulls = random.pick(["FIRST", "LAST"])
            note("NULLS FIRST/LAST")
        }
    }
}
