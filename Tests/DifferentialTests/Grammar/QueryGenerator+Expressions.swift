// Values of rows: arithmetic, functions, CASE; with the traits that say how answers may be compared.

import EventStore

extension QueryGenerator {
    static let zones = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]

    /// A number in every row, or NULL.
    mutating func numeric(depth: Int) -> Fragment {
        guard depth > 0, random.percent(75) else { return numericColumn() }
        switch random.below(20) {
        case 0..<7: return arithmetic(depth: depth)
        case 7: return bits()
        case 8..<10: return textMeasure()
        case 10: return choice(numeric(depth: depth - 1), numericColumn())
        case 11:
            note("abs")
            return absolute(numericColumn())
        case 12:
            note("round")
            let value = mention(pick(Column.calm.filter { !$0.traits.contains(.noText) }))
            let digits: Fragment = random.percent(50) ? "" : ", \(random.below(3))"
            return Fragment("round(\(value)\(digits))" as Fragment, numericWith: [.doubles])
        case 13:
            note("sign")
            return part("sign(\(numericColumn()))").without([.doubles, .mixesNumbers, .noText])
        case 14: return cast()
        case 15:
            note("min/max of two")
            return mixing("\(random.pick(["min", "max"]))(\(numericColumn()), \(numericColumn()))")
        case 16: return timeBucket()
        case 17:
            note("unary minus")
            return "-\(numericColumn())"
        case 18:
            note("unary plus")
            return "+\(numericColumn())"
        default:
            note("boolean as number")
            return part("(\(leaf()))").without([.doubles, .mixesNumbers, .textual, .noText, .huge])
        }
    }

    mutating func numericColumn() -> Fragment { mention(pick(Column.calm)) }

    /// Of the text '301' it is 301.0, of the integer 301.
    private func absolute(_ value: Fragment) -> Fragment {
        let isOfTwoKinds = value.traits.isSuperset(of: [.textual, .numeric])
        return part("abs(\(value))").adding(isOfTwoKinds ? [.doubles, .mixesNumbers] : [])
    }

    private mutating func arithmetic(depth: Int) -> Fragment {
        let sign = random.pick(["+", "-", "*", "/", "%"])
        note("arithmetic " + sign)
        let left = numeric(depth: depth - 1)
        let right = random.percent(60) ? number(-3...9) : numericColumn()
        if random.percent(4) {
            note("arithmetic overflow")
            return part("(\(mention(pick(Column.numeric.filter { $0.traits.contains(.huge) }))) \(sign) \(right))")
                .adding([.mixesNumbers, .doubles, .noText])
        }
        let half: Fragment = random.percent(10) ? " * 0.5" : ""
        let whole: Fragment = "(\(left) \(sign) \(right)\(half))"
        return half.pieces.isEmpty ? noted(whole) : noted(whole.adding(.doubles))
    }

    /// Arithmetic with doubles has results of 17 digits.
    private func noted(_ fragment: Fragment) -> Fragment {
        fragment.traits.contains(.doubles) ? fragment.adding(.noText) : fragment
    }

    private mutating func bits() -> Fragment {
        note("bit operation")
        let column = mention(pick(Column.wholeNumbers))
        switch random.below(5) {
        case 0: return "(\(column) & \(number(1...255)))"
        case 1: return "(\(column) | \(number(1...8)))"
        case 2: return "(\(column) >> \(number(1...4)))"
        case 3: return "(\(column) << \(number(1...4)))"
        default: return "~\(column)"
        }
    }

    private mutating func textMeasure() -> Fragment {
        let column = mention(pick(Column.readable))
        let bare = Fragment(column.pieces, .numeric)
        switch random.below(4) {
        case 0..<2:
            note("length")
            return "length(\(bare))"
        case 2:
            note("instr")
            return "instr(\(bare), \(literal(.text(random.pick(["e", "1", "/", "é", ".", ""])))))"
        default:
            note("unicode")
            return "unicode(\(bare))"
        }
    }

    private mutating func cast() -> Fragment {
        let kind = random.pick(["INTEGER", "REAL", "NUMERIC"])
        note("CAST AS " + kind)
        let column = mention(
            pick(Column.calm + [Column.attributes.first { $0.name == "numtext" } ?? Column.attributes[0]]))
        let traits: ColumnTraits =
            switch kind {
            case "INTEGER": [.numeric]
            case "REAL": [.numeric, .doubles, .noText]
            default: [.numeric, .doubles, .mixesNumbers, .noText]
            }
        return Fragment("CAST(\(column) AS \(kind))" as Fragment, only: traits)
    }

    /// One of two values by a condition or by NULL.
    mutating func choice(_ first: Fragment, _ second: Fragment) -> Fragment {
        switch random.below(6) {
        case 0:
            note("CASE WHEN")
            return mixing("CASE WHEN \(leaf()) THEN \(first) WHEN \(leaf()) THEN NULL ELSE \(second) END")
        case 1:
            note("CASE x WHEN")
            let column = pick(Column.grouping)
            return mixing(
                "CASE \(mention(column)) WHEN \(literal(value(column))) THEN \(first) WHEN 'x' THEN 0 ELSE \(second) END"
            )
        case 2:
            note("iif")
            return mixing("iif(\(leaf()), \(first), \(second))")
        case 3:
            note("coalesce")
            return mixing("coalesce(\(first), \(second), \(number(0...1)))")
        case 4:
            note("ifnull")
            return mixing("ifnull(\(first), \(second))")
        default:
            note("nullif")
            return "nullif(\(first), \(second))"
        }
    }

    /// A value that comes now from one part, now from another.
    private func mixing(_ fragment: Fragment) -> Fragment {
        fragment.traits.contains(.doubles) ? fragment.adding(.mixesNumbers) : fragment
    }

    // MARK: Text

    mutating func textColumn() -> Fragment { mention(pick(Column.textual)) }

    /// Text in every row, or NULL.
    mutating func text(depth: Int) -> Fragment {
        guard random.percent(80) else { return textColumn() }
        let column = mention(pick(Column.readable))
        var result: Fragment
        switch random.below(16) {
        case 0..<2:
            note("lower/upper")
            result = "\(random.pick(["lower", "upper"]))(\(column))"
        case 2..<5:
            note("substr")
            let length: Fragment = random.percent(70) ? ", \(random.within(-2...6))" : ""
            result = "substr(\(column), \(random.within(-4...6))\(length))"
        case 5..<7:
            note("||")
            result =
                "(\(column) || \(literal(.text(random.pick(["", "-", "é", "'"])))) || \(mention(pick(Column.readable))))"
        case 7:
            note("trim")
            let set: Fragment = random.percent(40) ? ", \(literal(.text(random.pick(["a", "/1", "é", ""]))))" : ""
            result = "\(random.pick(["trim", "ltrim", "rtrim"]))(\(column)\(set))"
        case 8:
            note("replace")
            let old = random.pick(["a", "/", "1", "", "é"])
            result = "replace(\(column), \(literal(.text(old))), 'x')"
            // Where there is nothing to replace, the value stays what it is: numbers remain numbers.
            if old.isEmpty { return result }
        case 9..<11:
            note("typeof")
            result = "typeof(\(mention(random.pick(Column.all))))"
        case 11:
            note("CAST AS TEXT")
            result = "CAST(\(column) AS TEXT)"
        case 12:
            note("hex")
            result = "hex(\(column))"
        case 13: result = isoText()
        case 14:
            note("char")
            result = "char(\(random.within(65...90)), \(mention(Column.numericSmall)))"
        default: return choice(textColumn(), textColumn())
        }
        result.traits = [.textual]
        return result
    }

    private mutating func isoText() -> Fragment {
        note("iso")
        let zone: Fragment = random.percent(40) ? ", '\(random.pick(Self.zones))'" : ""
        return "iso(\(mention(Column.fixed[2]))\(zone))"
    }

    // MARK: Time

    mutating func timeBucket() -> Fragment {
        let zone: Fragment = random.percent(35) ? ", '\(random.pick(Self.zones))'" : ""
        if !zone.pieces.isEmpty { note("zone") }
        let column = mention(Column.fixed[2])
        if random.percent(30) {
            note("date_trunc")
            let unit = random.pick(["minute", "hour", "day", "day", "week", "month", "quarter", "year"])
            return "date_trunc('\(unit)', \(column)\(zone))"
        }
        note("time_bucket")
        let width = random.pick([
            "1 minute", "15 minutes", "1 hour", "1 hour", "6 hours", "1 day", "1 day", "1 day", "1 week", "1 month",
            "1 year",
        ])
        return "time_bucket('\(width)', \(column)\(zone))"
    }
}

extension Fragment {
    /// The same pieces with these traits alone.
    init(_ fragment: Fragment, only traits: ColumnTraits) { self.init(fragment.pieces, traits) }

    /// A number with these traits more.
    init(_ fragment: Fragment, numericWith traits: ColumnTraits) {
        self.init(fragment.pieces, fragment.traits.subtracting([.textual]).union(traits).union(.numeric))
    }
}

extension Column {
    /// Text compared with it is read as a time.
    var isTime: Bool { isFixed && (name == "timestamp" || name == "received") }

    static let numericSmall = attributes.first { $0.name == "payload.count" } ?? attributes[0]
}
