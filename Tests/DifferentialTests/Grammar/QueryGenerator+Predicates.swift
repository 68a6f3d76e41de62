// Conditions: comparisons of columns with values of the data, and what can be built from them.

import EventStore

extension QueryGenerator {
    /// So many conditions, joined by AND; most hold for the pivot.
    mutating func conditions(_ count: Int) -> [Fragment] {
        (0..<count).map { _ in held(predicate(depth: 2), share: 88) }
    }

    /// The predicate turned so that it holds for the pivot, this often.
    mutating func held(_ predicate: Fragment, share: Int) -> Fragment {
        guard random.percent(share) else { return predicate }
        switch truth(predicate, pivot) {
        case .yes: return predicate
        case .no:
            note("NOT")
            return "NOT (\(predicate))"
        case .unknown:
            note("(…) IS NULL")
            return "(\(predicate)) IS NULL"
        case nil: return "1"
        }
    }

    mutating func predicate(depth: Int) -> Fragment {
        guard depth > 0, random.percent(30) else { return leaf() }
        switch random.below(10) {
        case 0..<4:
            note("OR")
            let parts = (0..<random.within(2...3)).map { _ in predicate(depth: depth - 1) }
            return "(\(Fragment.joined(parts, " OR ")))"
        case 4..<6:
            note("AND nested")
            return "(\(predicate(depth: depth - 1)) AND \(predicate(depth: depth - 1)))"
        case 6..<8:
            note("NOT")
            return "NOT (\(predicate(depth: depth - 1)))"
        case 8:
            note("CASE in condition")
            return "CASE WHEN \(leaf()) THEN \(leaf()) ELSE \(leaf()) END"
        default:
            note("truth of truth")
            return "(\(leaf())) = (\(leaf()))"
        }
    }

    mutating func leaf() -> Fragment {
        switch random.below(100) {
        case 0..<14: return entityOrType()
        case 14..<22: return timeComparison()
        case 22..<42: return comparison(pick(Column.attributes))
        case 42..<50: return list(pick(Column.all))
        case 50..<56: return between(pick(Column.numeric + Column.attributes))
        case 56..<64: return pattern(pick(Column.readable.filter { $0.traits.contains(.textual) }))
        case 64..<70: return nullTest(random.pick(Column.all))
        case 70..<74: return same(pick(Column.all))
        case 74..<77:
            note("flag as condition")
            return mention(pick(Column.flags))
        case 77..<80:
            note("column with column")
            return "\(mention(pick(Column.attributes))) \(comparisonSign()) \(mention(pick(Column.attributes)))"
        case 80..<90: return numericComparison()
        default: return textComparison()
        }
    }

    mutating func comparisonSign() -> String {
        let sign = random.pick(["=", "=", "=", "==", "<>", "!=", "<", "<=", ">", ">="])
        note("compare " + sign)
        return sign
    }

    mutating func entityOrType() -> Fragment {
        let column = Column.fixed[random.below(2)]
        switch random.below(12) {
        case 0..<7:
            note("\(column.name) =")
            return "\(mention(column)) = \(literal(value(column, ofPivot: 92)))"
        case 7..<10:
            note("\(column.name) IN")
            return list(column, negated: 5)
        case 10: return pattern(column)
        default: return "\(mention(column)) \(comparisonSign()) \(literal(value(column)))"
        }
    }

    mutating func comparison(_ column: Column) -> Fragment {
        let value = literal(nearby(self.value(column), column))
        if random.percent(12) {
            note("literal first")
            return "\(value) \(comparisonSign()) \(mention(column, alone: true))"
        }
        return "\(mention(column, alone: true)) \(comparisonSign()) \(value)"
    }

    /// The value, one next to it, or rarely one of another kind.
    mutating func nearby(_ cell: Cell, _ column: Column) -> Cell {
        if random.percent(5), !column.isTime {
            note("compare kinds")
            return random.pick([
                .integer(1), .real(1), .text("1"), .text(""), .null, .real(0.5), .integer(.max), .text("a"),
            ])
        }
        guard random.percent(25) else { return cell }
        switch cell {
        case .integer(let number):
            return random.percent(20) ? .real(Double(number)) : .integer(number &+ Int64(random.within(-2...2)))
        case .real(let number):
            return random.percent(20) ? .integer(Int64(max(-1e15, min(1e15, number)))) : .real(number / 2)
        case .text(let text): return .text(String(text.dropLast()))
        case .null: return .null
        }
    }

    mutating func list(_ column: Column, negated: Int = 20) -> Fragment {
        var values = (0..<random.within(1...5)).map { _ in value(column, ofPivot: 0) }
        if random.percent(80) { values[0] = pivotValue(column) }
        if random.percent(6) { values.append(.null) }
        values = values.filter { $0 != .null || random.percent(20) }
        let isNegated = random.percent(negated)
        note(isNegated ? "NOT IN" : "IN")
        if values.isEmpty { note("IN ()") }
        let list = Fragment.joined(values.map { literal($0) }, ", ")
        return "\(mention(column, alone: true)) \(isNegated ? "NOT IN" : "IN") (\(list))"
    }

    mutating func between(_ column: Column) -> Fragment {
        note("BETWEEN")
        var low = nearby(value(column), column)
        var high = nearby(value(column), column)
        if Cell.sqlOrder(low, high) > 0, random.percent(90) { swap(&low, &high) }
        let negation = random.percent(15) ? "NOT " : ""
        return "\(mention(column, alone: true)) \(negation)BETWEEN \(literal(low)) AND \(literal(high))"
    }

    mutating func nullTest(_ column: Column) -> Fragment {
        let form = random.pick(["IS NULL", "IS NOT NULL", "IS NOT NULL", "ISNULL", "NOTNULL", "NOT NULL"])
        note(form)
        return "\(mention(column, alone: true)) \(form)"
    }

    mutating func same(_ column: Column) -> Fragment {
        let form = random.pick(["IS", "IS", "IS NOT"])
        note(form)
        if random.percent(15) { return "\(mention(column, alone: true)) \(form) \(mention(pick(Column.attributes)))" }
        return "\(mention(column, alone: true)) \(form) \(literal(nearby(value(column), column)))"
    }

    mutating func pattern(_ column: Column) -> Fragment {
        guard case .text(let text) = value(column) else { return nullTest(column) }
        let negation = random.percent(15) ? "NOT " : ""
        let isGlob = random.percent(30)
        let any = isGlob ? "*" : "%"
        let one = isGlob ? "?" : "_"
        let characters = text.unicodeScalars.map(String.init)
        let start = random.below(characters.count + 1)
        let end = random.within(start...characters.count)
        var middle = Array(characters[start..<end].prefix(30))
        for index in middle.indices where random.percent(10) { middle[index] = one }
        if !isGlob, random.percent(30) {
            middle = middle.map { random.percent(50) ? $0.uppercased() : $0.lowercased() }
        }
        if isGlob, random.percent(20), let first = middle.first, first != "?" {
            note("GLOB [ ]")
            middle[0] = random.pick(["[\(first)x]", "[a-z]", "[^\(first)]", "[0-9A-F]"])
        }
        let before = start > 0 || random.percent(10) ? any : ""
        let after = end < characters.count || random.percent(10) ? any : ""
        note(isGlob ? "GLOB" : "LIKE")
        let pattern = before + middle.joined() + after
        if !isGlob, random.percent(10) {
            note("LIKE ESCAPE")
            let escaped = text.replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_")
            return
                "\(mention(column, alone: true)) \(negation)LIKE \(Fragment.literal(.text(escaped + any))) ESCAPE '\\'"
        }
        return "\(mention(column, alone: true)) \(negation)\(isGlob ? "GLOB" : "LIKE") \(literal(.text(pattern)))"
    }

    // MARK: Time

    mutating func timeComparison() -> Fragment {
        let column = random.percent(85) ? Column.fixed[2] : Column.fixed[4]
        guard case .integer(let time) = pivotValue(column) else { return "1" }
        switch random.below(8) {
        case 0..<3: return timeRange()
        case 3:
            note("BETWEEN times")
            let since = time - Int64(random.below(100_000_000))
            return "\(mention(column)) BETWEEN \(moment(since)) AND \(moment(time + Int64(random.below(50_000_000))))"
        case 4:
            note("time first")
            return "\(moment(edge(time))) <= \(mention(column))"
        case 5:
            note("IN times")
            return "\(mention(column)) IN (\(moment(time)), \(moment(edge(time))))"
        default: return "\(mention(column)) \(comparisonSign()) \(moment(edge(time)))"
        }
    }

    /// Half-open, as an analyst writes it, around the pivot.
    mutating func timeRange() -> Fragment {
        note("time range")
        let time = events[pivot].timestamp
        let since = random.percent(50) ? edge(time) : time - Int64(random.below(400_000_000))
        let lengths: [Int64] = [1, 3_600_000, Population.dayMs, 2 * Population.dayMs, 4 * Population.dayMs]
        let until = max(since + random.pick(lengths), random.percent(90) ? time + 1 : since)
        let stamp = Column.fixed[2]
        return "\(mention(stamp)) >= \(moment(since)) AND \(mention(stamp)) < \(moment(until))"
    }

    /// The moment itself, or the start of its hour or day.
    private mutating func edge(_ time: Int64) -> Int64 {
        switch random.below(4) {
        case 0: time
        case 1: time - time % 3_600_000
        default: time - time % Population.dayMs
        }
    }

    // MARK: Expressions compared

    mutating func numericComparison() -> Fragment {
        note("compare expression")
        let expression = numeric(depth: 2)
        switch random.below(6) {
        case 0: return "\(expression) BETWEEN \(number(-100...10)) AND \(number(10...1000))"
        case 1: return "\(expression) IN (\(number(0...3)), \(number(0...10)), \(number(200...404)))"
        case 2: return "\(expression) IS NOT NULL"
        default: return "\(expression) \(comparisonSign()) \(number(-5...300))"
        }
    }

    mutating func textComparison() -> Fragment {
        note("compare expression")
        let expression = text(depth: 1)
        let other = value(random.pick(Column.textual))
        switch random.below(6) {
        case 0: return "\(expression) LIKE \(literal(.text(random.pick(["%e%", "a%", "%1", "G_T", "%.example", "%"]))))"
        case 1: return "\(expression) IN (\(literal(other)), 'get', 'text', 'de', '')"
        case 2: return "\(expression) IS NOT NULL"
        default: return "\(expression) \(comparisonSign()) \(literal(other))"
        }
    }
}
