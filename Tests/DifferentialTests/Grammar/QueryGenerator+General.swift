// Queries beyond one table: joins, common table expressions, windows, sub-queries, compounds; and some that must fail.

import EventStore

extension QueryGenerator {
    mutating func general() -> Question {
        note("general")
        var question =
            switch random.below(12) {
            case 0..<2: join()
            case 2..<4: commonTable()
            case 4..<6: window()
            case 6..<8: compound()
            case 8..<10: subquery()
            case 10: derived()
            default: withoutTable()
            }
        question.isGeneral = true
        return question
    }

    private mutating func join() -> Question {
        let kind = random.pick(["JOIN", "LEFT JOIN", "INNER JOIN"])
        note(kind)
        var question = Question()
        let entity = literal(.text(events[pivot].entity))
        let spread = random.pick([0, 1000, 3_600_000])
        let attribute = random.pick(Column.grouping.filter { !$0.isFixed })
        table = "b"
        let other = mention(attribute)
        table = "a"
        let own = mention(attribute)
        question.source =
            """
            events AS a \(kind) events AS b ON b.entity = a.entity AND b.sequence <> a.sequence \
            AND b.timestamp BETWEEN a.timestamp - \(spread) AND a.timestamp
            """
        if random.percent(50) { question.source = "\(question.source) AND \(own) IS \(other)" }
        question.conditions = ["a.entity = \(entity)"]
        if random.percent(60) { question.conditions.append(leafInTable()) }
        question.items = [
            ResultItem("a.sequence", alias: "s"), ResultItem("b.sequence", alias: "t"),
            ResultItem(mention(pick(Column.attributes))),
            ResultItem(other),
        ]
        table = nil
        orderByItems(&question)
        limit(&question, share: 70)
        return question
    }

    /// A predicate of table `a` without the store's reading of times as text.
    private mutating func leafInTable() -> Fragment {
        random.percent(50) ? comparison(pick(Column.attributes)) : nullTest(pick(Column.all))
    }

    private mutating func commonTable() -> Question {
        note("WITH")
        var inner = Question()
        let key = random.pick(Column.grouping)
        inner.items = [
            ResultItem(mention(key), alias: "k"), ResultItem("count(*)", alias: "n"),
            ResultItem("max(timestamp)", alias: "latest"),
        ]
        inner.groupBy = ["1"]
        inner.conditions = conditions(random.within(0...2))
        var question = Question()
        question.prefix = "WITH g AS (\(Self.embedded(inner)))"
        question.source = "g"
        question.items = [
            ResultItem("k", match: .canonical), ResultItem("n"), ResultItem("latest"),
            ResultItem("n * 100 / (SELECT sum(n) FROM g)"),
        ]
        question.conditions = random.percent(60) ? ["n >= \(random.within(1...4))"] : ["k IS NOT NULL"]
        if random.percent(30) {
            note("WITH RECURSIVE")
            question.prefix =
                "WITH RECURSIVE d(day) AS (SELECT date_trunc('day', min(timestamp)) FROM events UNION ALL SELECT day + 86400000 FROM d WHERE day < (SELECT max(timestamp) FROM events) - 86400000)"
            question.source = "d LEFT JOIN events AS e ON e.timestamp >= d.day AND e.timestamp < d.day + 86400000"
            question.items = [ResultItem("d.day"), ResultItem("count(e.id)")]
            question.conditions = []
            question.groupBy = ["1"]
        }
        orderByItems(&question)
        limit(&question, share: 50)
        return question
    }

    private mutating func window() -> Question {
        note("window")
        var question = Question()
        question.conditions = ["entity = \(literal(.text(events[pivot].entity)))"] + conditions(random.within(0...2))
        let partition = mention(random.pick(Column.grouping))
        let number = mention(random.pick(Column.wholeNumbers))
        let over: Fragment = "(PARTITION BY \(partition) ORDER BY timestamp, sequence)"
        let function: Fragment =
            switch random.below(8) {
            case 0: "row_number() OVER \(over)"
            case 1: "lag(\(number)) OVER \(over)"
            case 2: "lead(\(number), 2, -1) OVER \(over)"
            case 3: "sum(\(number)) OVER \(over)"
            case 4: "count(*) OVER (PARTITION BY \(partition))"
            case 5: "max(\(number)) OVER (ORDER BY sequence ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)"
            case 6: "timestamp - lag(timestamp) OVER \(over)"
            default: "rank() OVER (ORDER BY \(partition))"
            }
        question.items = [ResultItem("sequence"), ResultItem(partition), ResultItem(function, alias: "w")]
        orderByItems(&question)
        limit(&question, share: 60)
        return question
    }

    private mutating func compound() -> Question {
        let operation = random.pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
        note(operation)
        let first = random.pick(Column.grouping)
        let second = random.percent(50) ? first : random.pick(Column.grouping)
        var question = Question()
        question.items = [ResultItem(mention(first), match: .canonical), ResultItem(mention(Column.fixed[1]))]
        question.conditions = conditions(random.within(0...2))
        var other = Question()
        other.items = [ResultItem(mention(second), match: .canonical), ResultItem(mention(Column.fixed[1]))]
        other.conditions = conditions(random.within(1...3))
        question.compounds = [Compound(operation: operation, question: other)]
        if random.percent(70) {
            for place in [0, 1] {
                var key = OrderKey(sql: "\(place + 1)", expression: "\(place + 1)", item: place)
                direct(&key)
                question.orderBy.append(key)
            }
        }
        limit(&question, share: 60)
        return question
    }

    private mutating func subquery() -> Question {
        var question = Question()
        question.items = items(random.within(1...3))
        question.conditions = conditions(random.within(0...2))
        let entity: Fragment = "\(literal(.text(events[pivot].entity)))"
        switch random.below(5) {
        case 0:
            note("IN (SELECT)")
            var inner = Question()
            inner.items = [ResultItem(column("entity"))]
            inner.conditions = conditions(random.within(1...2))
            question.conditions.append("entity IN (\(Self.embedded(inner)))")
        case 1:
            note("scalar sub-query")
            question.conditions.append("status >= (SELECT avg(status) FROM events WHERE entity = \(entity))")
        case 2:
            note("EXISTS")
            question.conditions.append(
                "entity = \(entity) AND EXISTS (SELECT 1 FROM events AS x WHERE x.entity = events.entity AND x.sequence > events.sequence AND x.status IS events.status)"
            )
        case 3:
            note("NOT EXISTS")
            question.conditions.append(
                "entity = \(entity) AND NOT EXISTS (SELECT 1 FROM events AS x WHERE x.entity = events.entity AND x.sequence > events.sequence)"
            )
        default:
            note("sub-query as item")
            question.items.append(ResultItem("(SELECT max(sequence) FROM events WHERE entity = \(entity))"))
        }
        orderRows(&question)
        limit(&question, share: 70)
        return question
    }

    private mutating func derived() -> Question {
        note("FROM (SELECT)")
        var inner = Question()
        let number = mention(random.pick(Column.wholeNumbers))
        inner.items = [
            ResultItem(column("entity"), alias: "e"), ResultItem(number, alias: "v"),
            ResultItem(column("sequence"), alias: "s"),
        ]
        inner.conditions = conditions(random.within(0...3))
        inner.orderBy = [OrderKey(sql: "sequence", expression: "sequence")]
        inner.limit = random.pick([5, 20, 100, 500])
        var question = Question()
        question.source = "(\(Self.embedded(inner)))"
        question.items = [ResultItem("e"), ResultItem("count(v)", alias: "n"), ResultItem("max(s)")]
        question.groupBy = ["e"]
        orderByItems(&question)
        return question
    }

    private mutating func withoutTable() -> Question {
        note("no FROM")
        var question = Question()
        question.source = Fragment([])
        question.items = [
            ResultItem("1 + \(number(0...9))"), ResultItem("upper('a') || \(literal(.text("ß")))"),
            ResultItem("NULL IS NULL"),
        ]
        return question
    }

    /// A question inside another, still in pieces.
    static func embedded(_ question: Question) -> Fragment {
        var whole: Fragment = "SELECT "
        let items = question.items.map { item -> Fragment in
            item.alias.map { "\(item.sql) AS \($0)" } ?? item.sql
        }
        whole = "\(whole)\(Fragment.joined(items, ", ")) FROM \(question.source)"
        if !question.conditions.isEmpty { whole = "\(whole) WHERE \(Fragment.joined(question.conditions, " AND "))" }
        if !question.groupBy.isEmpty { whole = "\(whole) GROUP BY \(Fragment.joined(question.groupBy, ", "))" }
        if !question.orderBy.isEmpty {
            whole = "\(whole) ORDER BY \(Fragment.joined(question.orderBy.map(\.sql), ", "))"
        }
        if let limit = question.limit { whole = "\(whole) LIMIT \(limit)" }
        return whole
    }

    /// Texts that both sides must refuse.
    mutating func broken() -> Question {
        note("must fail")
        var question = Question()
        question.items = [ResultItem(column("status"))]
        switch random.below(9) {
        case 0: question.conditions = ["nosuchcolumn = 1"]
        case 1: question.items = [ResultItem("nosuchfunction(status)")]
        case 2: question.conditions = ["count(*) > 1"]
        case 3: question.orderBy = [OrderKey(sql: "7", expression: "status")]
        case 4: question.items = [ResultItem("sum(count(*))")]
        case 5: question.conditions = ["status = "]
        case 6: question.items = [ResultItem("substr(method)")]
        case 7: question.source = "nosuchtable"
        default: question.conditions = ["method LIKE 'a' ESCAPE 'ab'"]
        }
        return question
    }
}
