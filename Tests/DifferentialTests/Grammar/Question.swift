// A generated query by its clauses, so that it can be written in each dialect, varied and made smaller.

/// How the values of a result's column are compared.
enum Match: Sendable {
    /// Kind, bits and bytes.
    case exact
    /// Numbers by value: of equal ones (1 and 1.0), which stands for the group is open.
    case canonical
    /// A JSON object, its members in any order.
    case json
    /// A rounded sum: within 1e-12 of this fragment's value (the sum of the absolute values), which the reference gives.
    /// Where `round` follows, two that are that near may be a whole step apart.
    case near(Fragment, step: Double = 0)

    var isRounded: Bool { if case .near = self { true } else { false } }
}

struct ResultItem: Sendable {
    var sql: Fragment
    var alias: String?
    var match: Match
    /// `*`.
    var isStar = false

    init(_ sql: Fragment, alias: String? = nil, match: Match = .exact) {
        self.sql = sql
        self.alias = alias
        self.match = match
    }

    static var star: ResultItem {
        var item = ResultItem(Fragment([.star]))
        item.isStar = true
        return item
    }

    /// One for each column of the result.
    var matches: [Match] { isStar ? Array(repeating: .exact, count: 6) + [.json] : [match] }
}

struct OrderKey: Sendable {
    /// As written: an expression, an alias or a number.
    var sql: Fragment
    /// What it stands for.
    var expression: Fragment
    var isDescending = false
    /// `FIRST` or `LAST`.
    var nulls: String?
    var match: Match = .canonical
    /// The column of the result it is, if it is one.
    var item: Int?
}

struct Compound: Sendable {
    var operation: String
    var question: Question
}

struct Question: Sendable {
    /// `WITH …`.
    var prefix: Fragment?
    var isDistinct = false
    var items: [ResultItem] = []
    var source: Fragment = "events"
    /// Joined by AND.
    var conditions: [Fragment] = []
    var groupBy: [Fragment] = []
    var having: [Fragment] = []
    var compounds: [Compound] = []
    var orderBy: [OrderKey] = []
    var limit: Int?
    var offset: Int?
    /// Meant to run in SQLite over the virtual table.
    var isGeneral = false
    var features: Set<String> = []

    var isGrouped = false
    /// Rows tie, so that pages must be checked against the whole.
    var checksPage = false

    /// The text in a dialect.
    func written(_ dialect: Dialect) -> SQLWriter {
        var writer = SQLWriter(dialect)
        write(to: &writer, extra: [], limited: true)
        return writer
    }

    /// The text that gives all rows without LIMIT, and behind the items the order keys and the bounds of rounded sums.
    func writtenForChecks(_ dialect: Dialect) -> SQLWriter {
        var writer = SQLWriter(dialect)
        write(to: &writer, extra: extraItems, limited: false)
        return writer
    }

    /// Order keys that are no columns of the result; then bounds of sums.
    var extraItems: [(Fragment, absolute: Bool)] {
        orderBy.filter { $0.item == nil }.map { ($0.expression, false) }
            + items.compactMap {
                guard case .near(let bound, _) = $0.match else { return nil }
                return (bound, true)
            }
    }

    private func write(to writer: inout SQLWriter, extra: [(Fragment, absolute: Bool)], limited: Bool) {
        if let prefix {
            writer.write(prefix)
            writer.write(" ")
        }
        writeCore(to: &writer, extra: extra)
        for compound in compounds {
            writer.write(" " + compound.operation + " ")
            compound.question.writeCore(to: &writer, extra: [])
        }
        for (index, key) in orderBy.enumerated() {
            writer.write(index == 0 ? " ORDER BY " : ", ")
            writer.write(key.sql)
            if key.isDescending { writer.write(" DESC") }
            if let nulls = key.nulls { writer.write(" NULLS " + nulls) }
        }
        guard limited, let limit else { return }
        writer.write(" LIMIT \(limit)")
        if let offset { writer.write(" OFFSET \(offset)") }
    }

    private func writeCore(to writer: inout SQLWriter, extra: [(Fragment, absolute: Bool)]) {
        writer.write(isDistinct ? "SELECT DISTINCT " : "SELECT ")
        for (index, item) in items.enumerated() {
            if index > 0 { writer.write(", ") }
            writer.write(item.sql)
            if let alias = item.alias { writer.write(" AS \(alias)") }
        }
        for (fragment, absolute) in extra {
            writer.write(", ")
            if absolute {
                var inner = SQLWriter(Dialect(absolute: true))
                inner.write(fragment)
                writer.write(inner.sql)
            } else {
                writer.write(fragment)
            }
        }
        if !source.pieces.isEmpty {
            writer.write(" FROM ")
            writer.write(source)
        }
        writer.isCondition = true
        write(conditions, " WHERE ", " AND ", to: &writer)
        writer.isCondition = false
        write(groupBy, " GROUP BY ", ", ", to: &writer)
        write(having, " HAVING ", " AND ", to: &writer)
    }

    private func write(_ parts: [Fragment], _ keyword: String, _ separator: String, to writer: inout SQLWriter) {
        if parts.isEmpty { return }
        writer.write(keyword)
        writer.write(Fragment.joined(parts, separator))
    }
}
