// Questions as Swift values: the typed front of the query tree, beside SQL.

import EventStoreCore
import EventStoreQuery
import struct Foundation.Date

/// A question about events, put together step by step.
///
/// ```swift
/// let busiest = EventQuery
///     .select(.entity, .count().as("n"), .quantile(.attribute("duration_ms"), 0.95).as("p95"))
///     .where(.type == "http.request" && .attribute("status") >= 500)
///     .since(Date(timeIntervalSinceNow: -86_400))
///     .groupBy(.entity)
///     .orderBy(.column("n"), .descending)
///     .limit(10)
/// ```
///
/// It means what the same question in SQL means: NULL is neither equal nor unequal to anything, an absent attribute is
/// NULL, and text compared with `timestamp` or `received` is a date or a time of RFC 3339. Names are looked up when
/// it runs: an attribute that no event ever had is an error, with names near it.
public struct EventQuery: Sendable {
    /// Which way a column is sorted.
    public enum Direction: Sendable { case ascending, descending }
    /// Where events or groups without a value go. Unless it is said, NULL is less than everything.
    public enum NullPlacement: Sendable { case first, last }

    struct Order: Sendable {
        var expression: QueryExpression
        var direction: Direction
        var nulls: NullPlacement?
    }

    var columns: [QueryExpression]
    var conditions: [QueryExpression] = []
    var groups: [QueryExpression] = []
    var groupConditions: [QueryExpression] = []
    var order: [Order] = []
    var rowsMax: Int?
    var rowsSkipped = 0
    var isDistinct = false

    init(columns: [QueryExpression]) { self.columns = columns }

    /// The columns of the result. Name them with `as(_:)`; otherwise they are called as they would be in SQL.
    public static func select(_ columns: QueryExpression...) -> EventQuery { EventQuery(columns: columns) }

    /// As `select(_:)`, from an array.
    public static func select(_ columns: [QueryExpression]) -> EventQuery { EventQuery(columns: columns) }

    /// All columns every event has: id, entity, type, timestamp, sequence, received, and attributes as JSON.
    public static func selectAll() -> EventQuery {
        EventQuery(columns: SelectQuery.allColumns.map(QueryExpression.fixed))
    }

    private func changed(_ change: (inout EventQuery) -> Void) -> EventQuery {
        var copy = self
        change(&copy)
        return copy
    }

    /// Only events for which this holds. Several calls must all hold.
    public func `where`(_ condition: QueryExpression) -> EventQuery { changed { $0.conditions.append(condition) } }

    /// Only events at or after this moment, milliseconds since 1970 UTC.
    public func since(_ ms: Int64) -> EventQuery { `where`(.timestamp >= .value(ms)) }

    /// Only events before this moment, milliseconds since 1970 UTC.
    public func until(_ ms: Int64) -> EventQuery { `where`(.timestamp < .value(ms)) }

    /// Only events at or after this moment.
    public func since(_ date: Date) -> EventQuery { since(Self.milliseconds(date)) }

    /// Only events before this moment.
    public func until(_ date: Date) -> EventQuery { until(Self.milliseconds(date)) }

    private static func milliseconds(_ date: Date) -> Int64 {
        let ms = (date.timeIntervalSince1970 * 1000).rounded(.up)
        return Int64(exactly: ms) ?? (ms < 0 ? .min : .max)
    }

    /// One row for each set of events that agree in these. Several calls add up.
    public func groupBy(_ expressions: QueryExpression...) -> EventQuery { changed { $0.groups += expressions } }

    /// Only groups for which this holds. Several calls must all hold.
    public func having(_ condition: QueryExpression) -> EventQuery {
        changed { $0.groupConditions.append(condition) }
    }

    /// Sorts by this, after what earlier calls sort by. Without any the order is not defined.
    public func orderBy(
        _ expression: QueryExpression, _ direction: Direction = .ascending, nulls: NullPlacement? = nil
    ) -> EventQuery {
        changed { $0.order.append(Order(expression: expression, direction: direction, nulls: nulls)) }
    }

    /// At most this many rows, after passing over `offset`.
    public func limit(_ count: Int, offset: Int = 0) -> EventQuery {
        changed {
            $0.rowsMax = max(0, count)
            $0.rowsSkipped = max(0, offset)
        }
    }

    /// Equal rows count once.
    public func distinct() -> EventQuery { changed { $0.isDistinct = true } }

    // MARK: To the tree

    func selectQuery(names catalog: any NameCatalog) throws(Fault) -> SelectQuery {
        let names = QueryNames(catalog)
        var query = SelectQuery(items: [])
        query.isDistinct = isDistinct
        for column in columns {
            let expression = try column.tree(names)
            var name = column.alias ?? column.title
            if column.alias == nil, column.columnName != nil, case .column(let found) = expression.node {
                name = found.spelling
            }
            query.items.append(SelectItem(expression, name: name))
        }
        for (column, item) in zip(columns, query.items) {
            if let alias = column.alias { names.aliases.append((alias, item.expression)) }
        }
        query.condition = try Self.all(conditions, names)
        for group in groups { query.groupBy.append(try group.tree(names)) }
        query.having = try Self.all(groupConditions, names)
        for term in order {
            let expression: Expression
            if let name = term.expression.columnName {
                expression = try names.column(name, aliasFirst: true)
            } else {
                expression = try term.expression.tree(names)
            }
            query.orderBy.append(
                OrderTerm(
                    expression, isDescending: term.direction == .descending, nullsFirst: term.nulls.map { $0 == .first }
                ))
        }
        query.limit = rowsMax
        query.offset = rowsSkipped
        return try query.checked()
    }

    private static func all(_ conditions: [QueryExpression], _ names: QueryNames) throws(Fault) -> Expression? {
        guard conditions.count <= QueryNames.heightMax else { throw QueryNames.tooHigh }
        var result: Expression?
        for condition in conditions {
            let next = try condition.tree(names)
            result = result.map { Expression(.binary(.and, $0, next)) } ?? next
        }
        return result
    }
}

/// A column, a value, or what is computed of them. Literals of Swift are values; for variables there is `value(_:)`.
///
/// Operators are SQL's: `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`, `!`, `+`, `-`, `*`, `/`, `%`. Integers divide
/// without a fraction.
public struct QueryExpression: Sendable {
    /// Makes the tree, once names can be looked up.
    let tree: @Sendable (QueryNames) throws(Fault) -> Expression
    /// As SQL would write it: what a column of the result is called.
    let text: String
    var alias: String?
    /// Of `column(_:)`.
    var columnName: String?

    init(_ text: String, _ tree: @escaping @Sendable (QueryNames) throws(Fault) -> Expression) {
        self.text = text
        self.tree = { names throws(Fault) in
            try names.part { () throws(Fault) in try tree(names) }
        }
    }

    /// The text without the brackets that operators put around themselves.
    var title: String { text.hasPrefix("(") ? String(text.dropFirst().dropLast()) : text }

    /// The same under a name of its own, for `select(_:)`; `column(_:)` finds it in the other clauses.
    public func `as`(_ name: String) -> QueryExpression {
        var copy = self
        copy.alias = name
        return copy
    }

    // MARK: Columns and values

    static func fixed(_ column: FixedColumn) -> QueryExpression {
        QueryExpression(column.rawValue) { _ in .fixed(column) }
    }

    public static let id = fixed(.id)
    /// The site.
    public static let entity = fixed(.entity)
    public static let type = fixed(.type)
    /// When it happened, milliseconds since 1970 UTC.
    public static let timestamp = fixed(.timestamp)
    /// Position in commit order.
    public static let sequence = fixed(.sequence)
    /// When the store took it in, milliseconds since 1970 UTC.
    public static let received = fixed(.received)
    /// All attributes as a JSON object.
    public static let attributes = fixed(.attributes)

    /// An attribute by its full name, such as `req.method`; NULL where an event has none.
    public static func attribute(_ name: String) -> QueryExpression {
        QueryExpression(name) { names throws(Fault) in try names.attribute(name) }
    }

    /// Whatever has this name: a column every event has, an attribute, or a column of the result named with `as(_:)`.
    /// In `orderBy` the result's come first.
    public static func column(_ name: String) -> QueryExpression {
        var expression = QueryExpression(name) { names throws(Fault) in try names.column(name, aliasFirst: false) }
        expression.columnName = name
        return expression
    }

    public static let null = literal(.null, "NULL")
    public static func value(_ number: Int64) -> QueryExpression { literal(.integer(number), "\(number)") }
    public static func value(_ number: Int) -> QueryExpression { value(Int64(number)) }
    public static func value(_ number: Double) -> QueryExpression {
        literal(number.isNaN ? .null : .double(number), "\(number)")
    }
    public static func value(_ truth: Bool) -> QueryExpression { value(truth ? 1 : 0) }
    public static func value(_ text: String) -> QueryExpression {
        let quoted = text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        return literal(.text(text), "'\(quoted)'")
    }

    private static func literal(_ value: SQLValue, _ text: String) -> QueryExpression {
        QueryExpression(text) { _ in .literal(value) }
    }
}

extension QueryExpression: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral
{
    public init(stringLiteral value: String) { self = .value(value) }
    public init(integerLiteral value: Int64) { self = .value(value) }
    public init(floatLiteral value: Double) { self = .value(value) }
    public init(booleanLiteral value: Bool) { self = .value(value) }
}

// MARK: Operators

extension QueryExpression {
    static func binary(
        _ a: QueryExpression, _ operation: BinaryOperator, _ sign: String, _ b: QueryExpression
    ) -> QueryExpression {
        QueryExpression("(\(a.text) \(sign) \(b.text))") { names throws(Fault) in
            Expression(.binary(operation, try a.tree(names), try b.tree(names)))
        }
    }

    static func unary(_ operation: UnaryOperator, _ sign: String, _ a: QueryExpression) -> QueryExpression {
        QueryExpression("(\(sign)\(a.text))") { names throws(Fault) in Expression(.unary(operation, try a.tree(names)))
        }
    }

    public static func == (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .equal, "=", b) }
    public static func != (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .notEqual, "<>", b) }
    public static func < (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .less, "<", b) }
    public static func <= (a: QueryExpression, b: QueryExpression) -> QueryExpression {
        binary(a, .lessOrEqual, "<=", b)
    }
    public static func > (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .greater, ">", b) }
    public static func >= (a: QueryExpression, b: QueryExpression) -> QueryExpression {
        binary(a, .greaterOrEqual, ">=", b)
    }
    public static func && (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .and, "AND", b) }
    public static func || (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .or, "OR", b) }
    public static prefix func ! (a: QueryExpression) -> QueryExpression { unary(.not, "NOT ", a) }
    public static func + (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .add, "+", b) }
    public static func - (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .subtract, "-", b) }
    public static func * (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .multiply, "*", b) }
    public static func / (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .divide, "/", b) }
    public static func % (a: QueryExpression, b: QueryExpression) -> QueryExpression { binary(a, .modulo, "%", b) }
    public static prefix func - (a: QueryExpression) -> QueryExpression { unary(.negate, "-", a) }

    /// Equal, NULL being equal to NULL: `IS` of SQL.
    public func isSame(as other: QueryExpression) -> QueryExpression { .binary(self, .isSame, "IS", other) }

    public var isNull: QueryExpression {
        QueryExpression("(\(text) IS NULL)") { names throws(Fault) in
            Expression(.isNull(try tree(names), isNegated: false))
        }
    }

    public var isNotNull: QueryExpression {
        QueryExpression("(\(text) IS NOT NULL)") { names throws(Fault) in
            Expression(.isNull(try tree(names), isNegated: true))
        }
    }

    /// At least `low` and at most `high`.
    public func between(_ low: QueryExpression, _ high: QueryExpression) -> QueryExpression {
        QueryExpression("(\(text) BETWEEN \(low.text) AND \(high.text))") { names throws(Fault) in
            Expression(.between(try tree(names), try low.tree(names), try high.tree(names), isNegated: false))
        }
    }

    /// Equal to one of these.
    public func `in`(_ values: [QueryExpression]) -> QueryExpression {
        QueryExpression("(\(text) IN (\(values.map(\.text).joined(separator: ", "))))") { names throws(Fault) in
            Expression(.inList(try tree(names), try QueryExpression.trees(values, names), isNegated: false))
        }
    }

    /// Matches a pattern: `%` is any text, `_` any character; the case of ASCII letters does not matter.
    public func like(_ pattern: String, escape: Character? = nil) -> QueryExpression {
        let tail = escape.map { " ESCAPE \(QueryExpression.value(String($0)).text)" } ?? ""
        return QueryExpression("(\(text) LIKE \(QueryExpression.value(pattern).text)\(tail))") {
            names throws(Fault) in
            Expression(
                .pattern(
                    .like, try tree(names), pattern: .literal(.text(pattern)),
                    escape: escape.map { .literal(.text(String($0))) }, isNegated: false))
        }
    }

    /// Matches a pattern: `*` is any text, `?` any character, `[a-z]` one of these; case matters.
    public func glob(_ pattern: String) -> QueryExpression {
        QueryExpression("(\(text) GLOB \(QueryExpression.value(pattern).text))") { names throws(Fault) in
            Expression(
                .pattern(
                    .glob, try tree(names), pattern: .literal(.text(pattern)), escape: nil, isNegated: false))
        }
    }

    /// The text has this part; case matters.
    public func contains(_ part: String) -> QueryExpression { glob("*\(Self.globbed(part))*") }

    /// The text begins with this; case matters.
    public func startsWith(_ start: String) -> QueryExpression { glob("\(Self.globbed(start))*") }

    /// The pattern of GLOB that matches just this text.
    private static func globbed(_ text: String) -> String {
        var pattern = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            pattern.append(contentsOf: "*?[".unicodeScalars.contains(scalar) ? ["[", scalar, "]"] : [scalar])
        }
        return String(pattern)
    }

    static func trees(_ expressions: [QueryExpression], _ names: QueryNames) throws(Fault) -> [Expression] {
        var trees: [Expression] = []
        for expression in expressions { trees.append(try expression.tree(names)) }
        return trees
    }
}

// MARK: Aggregates

extension QueryExpression {
    private static func aggregate(
        _ kind: AggregateKind, _ name: String, _ arguments: [QueryExpression], distinct: Bool = false
    ) -> QueryExpression {
        let inside = arguments.isEmpty ? "*" : arguments.map(\.text).joined(separator: ", ")
        return QueryExpression("\(name)(\(distinct ? "DISTINCT " : "")\(inside))") { names throws(Fault) in
            Expression(.aggregate(AggregateCall(kind, try trees(arguments, names), isDistinct: distinct)))
        }
    }

    /// How many events.
    public static func count() -> QueryExpression { aggregate(.count, "count", []) }
    /// How many events have a value, or how many different values there are.
    public static func count(_ x: QueryExpression, distinct: Bool = false) -> QueryExpression {
        aggregate(.count, "count", [x], distinct: distinct)
    }
    /// The sum; NULL of nothing, an integer of integers.
    public static func sum(_ x: QueryExpression) -> QueryExpression { aggregate(.sum, "sum", [x]) }
    /// The sum as a double; 0 of nothing.
    public static func total(_ x: QueryExpression) -> QueryExpression { aggregate(.total, "total", [x]) }
    public static func average(_ x: QueryExpression) -> QueryExpression { aggregate(.average, "avg", [x]) }
    public static func min(_ x: QueryExpression) -> QueryExpression { aggregate(.minimum, "min", [x]) }
    public static func max(_ x: QueryExpression) -> QueryExpression { aggregate(.maximum, "max", [x]) }

    /// The value below which the fraction `p` (0 to 1) of the values lies, interpolated between the two nearest.
    public static func quantile(_ x: QueryExpression, _ p: Double) -> QueryExpression {
        let call = aggregate(.quantile, "quantile", [x, .value(p)])
        return QueryExpression(call.text) { names throws(Fault) in
            guard p >= 0, p <= 1 else { throw Fault(.invalid, "quantile() takes a fraction from 0 to 1, not \(p)") }
            return try call.tree(names)
        }
    }

    /// The value of the earliest event that has one, or of the one least in `order`.
    public static func first(_ x: QueryExpression, by order: QueryExpression? = nil) -> QueryExpression {
        aggregate(.first, "first", [x] + (order.map { [$0] } ?? []))
    }
    /// The value of the latest event that has one, or of the one greatest in `order`.
    public static func last(_ x: QueryExpression, by order: QueryExpression? = nil) -> QueryExpression {
        aggregate(.last, "last", [x] + (order.map { [$0] } ?? []))
    }

    /// Only events for which this holds go into the aggregate.
    public func filter(_ condition: QueryExpression) -> QueryExpression {
        QueryExpression("\(text) FILTER (WHERE \(condition.text))") { names throws(Fault) in
            let expression = try tree(names)
            guard case .aggregate(var call) = expression.node else {
                throw Fault(.invalid, "filter() goes with aggregates; \(text) is none")
            }
            let chosen = try condition.tree(names)
            call.filter = call.filter.map { Expression(.binary(.and, $0, chosen)) } ?? chosen
            return Expression(.aggregate(call))
        }
    }
}

// MARK: Functions

extension QueryExpression {
    private static func function(_ function: ScalarFunction, _ arguments: [QueryExpression]) -> QueryExpression {
        let inside = arguments.map(\.text).joined(separator: ", ")
        return QueryExpression("\(function.rawValue)(\(inside))") { names throws(Fault) in
            Expression(.function(function, try trees(arguments, names)))
        }
    }

    /// The start of the bucket of time an event falls in, milliseconds: `"5 minutes"`, `"1 day"`; days begin at
    /// midnight of the zone, such as `"Europe/Berlin"`, and have 23 or 25 hours when its clocks change.
    public static func timeBucket(
        _ width: String, _ time: QueryExpression = .timestamp, zone: String? = nil
    ) -> QueryExpression {
        function(.timeBucket, [.value(width), time] + (zone.map { [.value($0)] } ?? []))
    }

    /// The start of the minute, hour, day, week, month, quarter or year, milliseconds. Weeks begin on Monday.
    public static func dateTrunc(
        _ unit: String, _ time: QueryExpression = .timestamp, zone: String? = nil
    ) -> QueryExpression {
        function(.dateTrunc, [.value(unit), time] + (zone.map { [.value($0)] } ?? []))
    }

    /// A time as text of RFC 3339.
    public static func iso(_ time: QueryExpression = .timestamp, zone: String? = nil) -> QueryExpression {
        function(.iso, [time] + (zone.map { [.value($0)] } ?? []))
    }

    /// The first that is not NULL.
    public static func coalesce(
        _ a: QueryExpression, _ b: QueryExpression, _ more: QueryExpression...
    ) -> QueryExpression { function(.coalesce, [a, b] + more) }

    /// `then` where the condition holds, else `otherwise`.
    public static func iif(
        _ condition: QueryExpression, _ then: QueryExpression, _ otherwise: QueryExpression
    ) -> QueryExpression { function(.iif, [condition, then, otherwise]) }

    /// NULL where the two are equal, else the first.
    public static func nullIf(_ a: QueryExpression, _ b: QueryExpression) -> QueryExpression {
        function(.nullif, [a, b])
    }
    /// ASCII letters in lower case.
    public static func lower(_ x: QueryExpression) -> QueryExpression { function(.lower, [x]) }
    /// ASCII letters in upper case.
    public static func upper(_ x: QueryExpression) -> QueryExpression { function(.upper, [x]) }
    /// Characters of a text.
    public static func length(_ x: QueryExpression) -> QueryExpression { function(.length, [x]) }
    public static func trim(_ x: QueryExpression) -> QueryExpression { function(.trim, [x]) }
    /// `count` characters from the one numbered `start` (from 1; negative from the end).
    public static func substring(
        _ x: QueryExpression, from start: QueryExpression, count: QueryExpression? = nil
    ) -> QueryExpression { function(.substr, [x, start] + (count.map { [$0] } ?? [])) }
    public static func replace(
        _ x: QueryExpression, _ part: QueryExpression, with other: QueryExpression
    ) -> QueryExpression { function(.replace, [x, part, other]) }
    public static func abs(_ x: QueryExpression) -> QueryExpression { function(.abs, [x]) }
    public static func round(_ x: QueryExpression, digits: QueryExpression = 0) -> QueryExpression {
        function(.round, [x, digits])
    }
    public static func least(
        _ a: QueryExpression, _ b: QueryExpression, _ more: QueryExpression...
    ) -> QueryExpression { function(.least, [a, b] + more) }
    public static func greatest(
        _ a: QueryExpression, _ b: QueryExpression, _ more: QueryExpression...
    ) -> QueryExpression { function(.greatest, [a, b] + more) }

    /// The texts one after the other; NULL if one is NULL.
    public static func concatenate(_ a: QueryExpression, _ b: QueryExpression) -> QueryExpression {
        binary(a, .concatenate, "||", b)
    }
}
