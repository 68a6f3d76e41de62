// What a query tree from the Swift builder must keep to, since no parser has looked at it.

import EventStoreCore

/// Looks up the names of a query from the builder.
package final class QueryNames {
    private let lookup: NameLookup
    /// Columns of the result that have an alias, in order.
    package var aliases: [(name: String, expression: Expression)] = []
    private var height = 0

    package init(_ catalog: any NameCatalog) { lookup = NameLookup(catalog) }

    /// Makes a part of a tree, as high as a parser would let it be: walks down a higher one exhaust the stack.
    package func part(_ make: () throws(Fault) -> Expression) throws(Fault) -> Expression {
        height += 1
        defer { height -= 1 }
        guard height <= SQLLimits.heightMax else { throw QueryNames.tooHigh }
        return try make()
    }

    package static let heightMax = SQLLimits.heightMax
    package static var tooHigh: Fault {
        Fault(.limit, "the expression is too large (its tree is more than \(SQLLimits.heightMax) levels high)")
    }

    /// The attribute of exactly this name.
    package func attribute(_ name: String) throws(Fault) -> Expression {
        guard lookup.isExactAttribute(name) else { throw Fault(.invalid, lookup.unknown(name)) }
        return .attribute(name)
    }

    /// A column, an attribute or an alias, in this order unless `aliasFirst`.
    package func column(_ name: String, aliasFirst: Bool) throws(Fault) -> Expression {
        let alias = aliases.first { ASCII.equal($0.name, name) }?.expression
        if aliasFirst, let alias { return alias }
        if let fixed = lookup.fixedColumn(name) { return .fixed(fixed) }
        if let found = try? lookup.attribute(name) { return .attribute(found) }
        if let alias { return alias }
        throw Fault(.invalid, lookup.unknown(name, beside: aliases.map(\.name)))
    }
}

extension SelectQuery {
    /// The query with its times converted, after a look at where its aggregates and columns stand.
    package func checked() throws(Fault) -> SelectQuery {
        var query = self
        do throws(ParseStop) {
            let times = TimeConversion()
            for index in items.indices {
                query.items[index].expression = try times.convert(items[index].expression)
            }
            query.condition = try Self.converted(condition, times)
            query.having = try Self.converted(having, times)
            for index in groupBy.indices { query.groupBy[index] = try times.convert(groupBy[index]) }
            for index in orderBy.indices {
                query.orderBy[index].expression = try times.convert(orderBy[index].expression)
            }
        } catch {
            switch error {
            case .fault(let fault): throw fault
            case .general(let reason): throw Fault(.invalid, "\(reason) cannot be asked for here")
            }
        }
        try query.checkAggregates()
        if query.ordersDistinctRowsByOthers {
            throw Fault(.invalid, "distinct rows are ordered by what is selected")
        }
        return query
    }

    private static func converted(
        _ expression: Expression?, _ times: TimeConversion
    ) throws(ParseStop) -> Expression? {
        guard let expression else { return nil }
        return try times.convert(expression)
    }

    private func checkAggregates() throws(Fault) {
        guard !items.isEmpty else { throw Fault(.invalid, "a query selects at least one column") }
        if condition?.hasAggregate == true {
            throw Fault(.invalid, "an aggregate cannot stand in where(); having() chooses groups")
        }
        if groupBy.contains(where: \.hasAggregate) {
            throw Fault(.invalid, "an aggregate cannot stand in groupBy()")
        }
        let hasGroups = !groupBy.isEmpty || items.contains { $0.expression.hasAggregate }
        if !hasGroups, isGrouped {
            throw Fault(.invalid, "having() and aggregates in orderBy() need groupBy(), or an aggregate selected")
        }
        let keys = Set(groupBy)
        let all = items.map(\.expression) + (having.map { [$0] } ?? []) + orderBy.map(\.expression)
        for expression in all { try Self.check(expression, hasGroups ? keys : nil) }
    }

    /// Aggregates do not nest; where there are groups, columns are grouped by or inside an aggregate.
    private static func check(_ expression: Expression, _ keys: Set<Expression>?) throws(Fault) {
        if keys?.contains(expression) == true { return }
        switch expression.node {
        case .aggregate:
            if expression.children.contains(where: \.hasAggregate) {
                throw Fault(.invalid, "an aggregate cannot stand inside another")
            }
        case .column(let column) where keys != nil:
            throw Fault(.invalid, "the column '\(column.spelling)' is neither grouped by nor in an aggregate")
        default: for child in expression.children { try check(child, keys) }
        }
    }
}
