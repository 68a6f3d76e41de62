// From a SELECT as written to a query tree: names become columns, aliases and ordinals what they stand for, and what
// SQLite refuses is refused. Scopes are those of SQLite: WHERE, GROUP BY and HAVING see columns first, then aliases;
// a term of ORDER BY that is a single name sees aliases first.

import EventStoreCore

struct SelectResolver {
    private enum Clause: String {
        case columns = "the columns"
        case condition = "WHERE"
        case groupBy = "GROUP BY"
        case having = "HAVING"
        case orderBy = "ORDER BY"

        var seesAliases: Bool { self != .columns }
    }

    let source: SQLSource
    let references: [NameReference]
    let lookup: NameLookup
    let syntax: SelectSyntax
    private var aliases: [(name: String, expression: Expression)] = []
    private var nodes = 0

    static func resolve(
        _ syntax: SelectSyntax, _ references: [NameReference], source: SQLSource, names: any NameCatalog
    ) throws(ParseStop) -> SelectQuery {
        var resolver = SelectResolver(
            source: source, references: references, lookup: NameLookup(names), syntax: syntax)
        return try resolver.query()
    }

    private init(source: SQLSource, references: [NameReference], lookup: NameLookup, syntax: SelectSyntax) {
        self.source = source
        self.references = references
        self.lookup = lookup
        self.syntax = syntax
    }

    private mutating func query() throws(ParseStop) -> SelectQuery {
        var query = SelectQuery(items: try items())
        query.isDistinct = syntax.isDistinct
        let isGrouped = !syntax.groupBy.isEmpty || query.items.contains { $0.expression.hasAggregate }
        if let condition = syntax.condition { query.condition = try resolve(condition, .condition) }
        for term in syntax.groupBy { query.groupBy.append(try groupTerm(term, query.items)) }
        if let having = syntax.having {
            guard isGrouped else {
                throw source.stop(
                    having.range.lowerBound,
                    "HAVING chooses groups, but there is no GROUP BY and no aggregate; WHERE chooses events")
            }
            query.having = try resolve(having, .having)
        }
        for term in syntax.orderBy {
            let expression = try orderTerm(term.expression, query.items)
            if !isGrouped, let aggregate = Self.aggregate(in: expression) {
                throw source.stop(
                    aggregate.range.lowerBound,
                    "an aggregate in ORDER BY needs a GROUP BY, or an aggregate among the columns")
            }
            query.orderBy.append(
                OrderTerm(expression, isDescending: term.isDescending, nullsFirst: term.nullsFirst))
        }
        if let limit = syntax.limit {
            let count = try constant(limit, "LIMIT")
            query.limit = count < 0 ? nil : count
        }
        if let offset = syntax.offset { query.offset = max(0, try constant(offset, "OFFSET")) }
        if isGrouped { try refuseBareColumns(query) }
        if query.ordersDistinctRowsByOthers { throw .general("DISTINCT rows in the order of another column") }
        return query
    }

    // MARK: Columns

    private mutating func items() throws(ParseStop) -> [SelectItem] {
        var items: [SelectItem] = []
        for column in syntax.columns {
            switch column {
            case .star(let range):
                if range.lowerBound >= 0 { try checkTable(range) }
                items += SelectQuery.allColumns.map { SelectItem(.fixed($0), name: $0.rawValue) }
            case .expression(let expression, let alias, let text):
                let resolved = try resolve(expression, .columns)
                items.append(SelectItem(resolved, name: alias ?? name(expression, resolved) ?? text))
                if let alias { aliases.append((alias, resolved)) }
            }
        }
        return items
    }

    private func checkTable(_ range: SourceRange) throws(ParseStop) {
        let written = source.text(range.lowerBound, range.upperBound)
        let name = written.trimmingQuotes
        guard !ASCII.equal(name, syntax.tableName) else { return }
        throw source.stop(range.lowerBound, "no table '\(name)' here; it is called '\(syntax.tableName)'")
    }

    /// A column alone is called by its own name, however it was written.
    private func name(_ written: Expression, _ resolved: Expression) -> String? {
        guard case .slot = written.node, case .column(let column) = resolved.node else { return nil }
        return column.spelling
    }

    // MARK: Terms of GROUP BY and ORDER BY

    private mutating func groupTerm(_ term: Expression, _ items: [SelectItem]) throws(ParseStop) -> Expression {
        if let expression = try ordinal(term, .groupBy, items) { return try refuseAggregate(expression, at: term) }
        return try refuseAggregate(try resolve(term, .groupBy), at: term)
    }

    private func refuseAggregate(_ expression: Expression, at term: Expression) throws(ParseStop) -> Expression {
        if let aggregate = Self.aggregate(in: expression) {
            // One that comes by an ordinal is shown where the ordinal is.
            let isHere = (term.range.lowerBound...term.range.upperBound).contains(aggregate.range.lowerBound)
            throw source.stop((isHere ? aggregate : term).range.lowerBound, "an aggregate cannot stand in GROUP BY")
        }
        return expression
    }

    private mutating func orderTerm(_ term: Expression, _ items: [SelectItem]) throws(ParseStop) -> Expression {
        if let expression = try ordinal(term, .orderBy, items) { return expression }
        if case .slot(let index, _) = term.node, references[index].parts.count == 1,
            let alias = try alias(references[index], .orderBy)
        {
            return alias
        }
        return try resolve(term, .orderBy)
    }

    /// The column whose number a term is. Numbers are numbers only where they stand in the text.
    private func ordinal(
        _ term: Expression, _ clause: Clause, _ items: [SelectItem]
    ) throws(ParseStop) -> Expression? {
        var literal = term
        while case .unary(.plus, let operand) = literal.node { literal = operand }
        guard case .literal(.integer(let number)) = literal.node,
            !":@$".utf8.contains(source.bytes[literal.range.lowerBound])
        else { return nil }
        guard number >= 1, number <= items.count else {
            throw source.stop(
                term.range.lowerBound,
                "\(clause.rawValue) \(number) is no column of the result; they are numbered from 1 to \(items.count)")
        }
        return items[Int(number) - 1].expression
    }

    // MARK: Names

    private mutating func resolve(_ expression: Expression, _ clause: Clause) throws(ParseStop) -> Expression {
        var failure: ParseStop?
        var resolver = self
        let resolved = expression.replacing { node in
            guard failure == nil else { return node }
            do throws(ParseStop) {
                return try resolver.replacement(node, clause)
            } catch {
                failure = error
                return node
            }
        }
        nodes = resolver.nodes
        if let failure { throw failure }
        if clause == .condition, let aggregate = Self.aggregate(in: resolved) {
            throw source.stop(
                aggregate.range.lowerBound, "an aggregate cannot stand in WHERE; HAVING chooses groups")
        }
        try refuseNesting(resolved)
        return try TimeConversion(source: source).convert(resolved)
    }

    private mutating func replacement(_ node: Expression, _ clause: Clause) throws(ParseStop) -> Expression? {
        switch node.node {
        case .slot(let index, _): return try column(references[index], clause)
        case .binary(.jsonText, _, _): throw .general("the operator ->")
        case .binary(.jsonValue, let left, let right):
            guard case .slot(let index, _) = left.node, case .literal(.text(let path)) = right.node,
                try column(references[index], .columns).node == .column(.fixed(.attributes)),
                let name = NameLookup.attributeName(path: path.string)
            else { throw .general("the operator ->>") }
            let isKnown = lookup.isExactAttribute(name)
            return Expression(isKnown ? .column(.attribute(name)) : .literal(.null), node.range)
        default: return nil
        }
    }

    private mutating func column(_ reference: NameReference, _ clause: Clause) throws(ParseStop) -> Expression {
        do throws(NameLookup.Failure) {
            let column = try find(reference)
            return Expression(.column(column), reference.range)
        } catch {
            guard case .ambiguous(let names) = error else { return try resultColumn(reference, clause) }
            let list = names.map { "\"\($0)\"" }.joined(separator: " or ")
            throw source.stop(
                reference.range.lowerBound, "'\(reference.joined)' may be several attributes: write \(list)")
        }
    }

    /// What a name stands for that is no column of the table.
    private mutating func resultColumn(_ reference: NameReference, _ clause: Clause) throws(ParseStop) -> Expression {
        if clause.seesAliases, reference.parts.count == 1, let alias = try alias(reference, clause) {
            return alias
        }
        throw unknown(reference, clause)
    }

    private func find(_ reference: NameReference) throws(NameLookup.Failure) -> ColumnName {
        let parts = reference.parts
        if parts.count == 1 { return try lookup.column(parts[0]) }
        if ASCII.equal(parts[0], syntax.tableName) {
            do throws(NameLookup.Failure) {
                if parts.count == 2 { return try lookup.column(parts[1]) }
                return .attribute(try lookup.attribute(parts.dropFirst().joined(separator: ".")))
            } catch {
                if case .ambiguous = error { throw error }
            }
        }
        return .attribute(try lookup.attribute(reference.joined))
    }

    private func unknown(_ reference: NameReference, _ clause: Clause) -> ParseStop {
        let isQualified = reference.parts.count > 1 && ASCII.equal(reference.parts[0], syntax.tableName)
        let name = isQualified ? reference.parts.dropFirst().joined(separator: ".") : reference.joined
        var message = lookup.unknown(name, beside: clause.seesAliases ? aliases.map(\.name) : [])
        if reference.parts.count == 1, source.bytes[reference.range.lowerBound] == UInt8(ascii: "\"") {
            message += (message.hasSuffix("?") ? " " : "; ") + "text is written in single quotes"
        }
        return source.stop(reference.range.lowerBound, message)
    }

    /// The column of the result with this alias.
    private mutating func alias(_ reference: NameReference, _ clause: Clause) throws(ParseStop) -> Expression? {
        guard let found = aliases.first(where: { ASCII.equal($0.name, reference.parts[0]) }) else { return nil }
        if clause == .condition || clause == .groupBy, found.expression.hasAggregate {
            let remedy = clause == .condition ? "; HAVING chooses groups" : ""
            throw source.stop(
                reference.range.lowerBound,
                "'\(found.name)' is an aggregate, which cannot stand in \(clause.rawValue)\(remedy)")
        }
        var size = 0
        found.expression.visit { _ in size += 1 }
        nodes += size
        guard nodes <= SQLLimits.nodesMax else {
            throw source.stop(
                reference.range.lowerBound, "the statement is too large once its aliases are replaced", code: .limit)
        }
        return Expression(found.expression.node, reference.range)
    }

    // MARK: Aggregates

    private static func aggregate(in expression: Expression) -> Expression? {
        if case .aggregate = expression.node { return expression }
        for child in expression.children {
            if let found = aggregate(in: child) { return found }
        }
        return nil
    }

    /// Aliases can put an aggregate inside another.
    private func refuseNesting(_ expression: Expression) throws(ParseStop) {
        if case .aggregate = expression.node {
            for child in expression.children {
                guard let nested = Self.aggregate(in: child) else { continue }
                throw source.stop(nested.range.lowerBound, "an aggregate cannot stand inside another")
            }
            return
        }
        for child in expression.children { try refuseNesting(child) }
    }

    /// Columns that are neither grouped by nor inside an aggregate have a value of SQLite's choosing.
    private func refuseBareColumns(_ query: SelectQuery) throws(ParseStop) {
        let keys = Set(query.groupBy)
        // Most keys are columns; then no larger expression needs to be compared.
        let areColumns = query.groupBy.allSatisfy { $0.children.isEmpty }
        func check(_ expression: Expression) throws(ParseStop) {
            if !areColumns || expression.children.isEmpty, keys.contains(expression) { return }
            switch expression.node {
            case .aggregate: return
            case .column(let column):
                throw .general("the column \(column.spelling), which is neither grouped by nor in an aggregate")
            default: for child in expression.children { try check(child) }
            }
        }
        for item in query.items { try check(item.expression) }
        if let having = query.having { try check(having) }
        for term in query.orderBy { try check(term.expression) }
    }

    // MARK: Limits

    private func constant(_ expression: Expression, _ clause: String) throws(ParseStop) -> Int {
        let start = expression.range.lowerBound
        switch expression.node {
        case .literal(.integer(let number)): return Int(number)
        case .literal(.double(let number)):
            if let whole = Int(exactly: number) { return whole }
        case .literal(.text(let text)):
            if let number = Int(text.string) { return number }
        case .literal(.null): break
        case .unary(.plus, let operand): return try constant(operand, clause)
        case .column, .slot: break
        default: throw .general("a computed \(clause)")
        }
        throw source.stop(start, "\(clause) wants a whole number")
    }
}

extension String {
    fileprivate var trimmingQuotes: String {
        guard let first, "\"`[".contains(first), count >= 2 else { return self }
        return String(dropFirst().dropLast())
    }
}
