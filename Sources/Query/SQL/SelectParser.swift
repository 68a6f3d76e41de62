// The clauses of a SELECT over one table (sqlite.org/lang_select.html).

import EventStoreCore

/// A SELECT as written, its names not yet looked up.
struct SelectSyntax {
    enum Column {
        case star(SourceRange)
        /// `text` is what the column is called without an alias and unless it is a bare name.
        case expression(Expression, alias: String?, text: String)
    }
    struct Order {
        var expression: Expression
        var isDescending: Bool
        var nullsFirst: Bool?
    }

    var isDistinct = false
    var columns: [Column] = []
    /// What stands before the dot in `e.status`: the alias of the table, or its name.
    var tableName = "events"
    var condition: Expression?
    var groupBy: [Expression] = []
    var having: Expression?
    var orderBy: [Order] = []
    var limit: Expression?
    var offset: Expression?
}

extension SyntaxParser {
    mutating func select() throws(ParseStop) -> SelectSyntax {
        var select = SelectSyntax()
        try expect(.select)
        if take(.distinct) { select.isDistinct = true } else { _ = take(.all) }
        // `FROM` makes sense of `e.*`, so its alias is looked up before the columns are understood.
        repeat { try column(&select) } while take(.comma)
        guard take(.from) else {
            if isEnd { throw .general("a SELECT without FROM") }
            switch token.keyword {
            case .where, .group, .having, .order, .limit, .union, .except, .intersect:
                throw .general("a SELECT without FROM")
            default: throw unexpected("',' or FROM")
            }
        }
        let unknownTable = try table(&select)
        if take(.where) { select.condition = try expression().expression }
        if take(.group) {
            try expect(.by)
            repeat { select.groupBy.append(try expression().expression) } while take(.comma)
        }
        if take(.having) { select.having = try expression().expression }
        if token.keyword == .window, ahead().isName { throw .general("a window") }
        try refuseCompound()
        try order(&select)
        try limit(&select)
        guard isEnd else { throw unexpected(continuation(select)) }
        if let unknownTable { throw unknownTable }
        return select
    }

    private var isEnd: Bool { token.kind == .finish || token.kind == .semicolon }

    private func refuseCompound() throws(ParseStop) {
        switch token.keyword {
        case .union, .except, .intersect: throw .general("a compound SELECT")
        default: return
        }
    }

    /// What might have come where something else did.
    private func continuation(_ select: SelectSyntax) -> String {
        if select.limit != nil { return "the end" }
        if !select.orderBy.isEmpty { return "',', LIMIT or the end" }
        if select.having != nil { return "ORDER BY, LIMIT or the end" }
        if !select.groupBy.isEmpty { return "',', HAVING, ORDER BY, LIMIT or the end" }
        if select.condition != nil { return "an operator, GROUP BY, ORDER BY, LIMIT or the end" }
        return "WHERE, GROUP BY, ORDER BY, LIMIT or the end"
    }

    // MARK: Columns and tables

    private mutating func column(_ select: inout SelectSyntax) throws(ParseStop) {
        guard select.columns.count < SQLLimits.columnsMax else {
            throw source.stop(token.start, "more than \(SQLLimits.columnsMax) columns", code: .limit)
        }
        let start = token.start
        if take(.star) {
            select.columns.append(.star(.none))
            return
        }
        if token.isName, ahead().kind == .dot, ahead(2).kind == .star {
            select.columns.append(.star(token.range))
            position += 3
            return
        }
        let value = try expression().expression
        let text = source.trimmed(start, token.start)
        var alias: String?
        if take(.as) {
            guard let name = aliasName(afterAs: true) else { throw unexpected("a name after AS") }
            alias = name
            advance()
        } else if let name = aliasName(afterAs: false) {
            alias = name
            advance()
        }
        select.columns.append(.expression(value, alias: alias, text: text))
    }

    /// The name that stands here, if it can be an alias.
    private func aliasName(afterAs: Bool) -> String? {
        switch token.kind {
        case .quotedName, .string: return source.content(token)
        case .word:
            guard let keyword = token.keyword else { return source.content(token) }
            if keyword == .window, ahead().isName { return nil }
            let isAllowed = afterAs ? !keyword.isReserved : keyword.isPlainName
            return isAllowed ? source.content(token) : nil
        default: return nil
        }
    }

    /// Reads what follows FROM. Gives the error of a table that does not exist, to be thrown when the rest of the
    /// statement turns out to be native.
    private mutating func table(_ select: inout SelectSyntax) throws(ParseStop) -> ParseStop? {
        if token.kind == .leftParen { throw .general("a sub-query") }
        guard token.kind == .quotedName || token.kind == .string || aliasName(afterAs: true) != nil else {
            throw unexpected("the name of a table")
        }
        let table = token
        let name = ASCII.lowercased(source.content(token))
        advance()
        if token.kind == .dot { throw .general("a table with the name of its database") }
        if token.kind == .leftParen { throw .general("a table-valued function") }
        if take(.as) {
            guard let alias = aliasName(afterAs: true) else { throw unexpected("a name after AS") }
            select.tableName = alias
            advance()
        } else if let alias = aliasName(afterAs: false), token.keyword != .indexed {
            select.tableName = alias
            advance()
        }
        if token.keyword == .indexed || (token.keyword == .not && ahead().keyword == .indexed) {
            throw .general("INDEXED")
        }
        if token.kind == .comma || token.keyword == .join || token.keyword.map(SQLKeyword.joins.contains) == true {
            throw .general("a join")
        }
        try refuseCompound()
        if name == "events" { return nil }
        if SmallTable(rawValue: name) != nil { return .general("the table \(name)") }
        let tables = ["events"] + SmallTable.allCases.map(\.rawValue)
        return source.stop(
            table.start,
            "no table '\(source.content(table))'; there are " + tables.dropLast().joined(separator: ", ") + " and "
                + (tables.last ?? ""))
    }

    // MARK: Order and limit

    private mutating func order(_ select: inout SelectSyntax) throws(ParseStop) {
        guard take(.order) else { return }
        try expect(.by)
        repeat {
            var term = SelectSyntax.Order(expression: try expression().expression, isDescending: false)
            if take(.desc) { term.isDescending = true } else { _ = take(.asc) }
            if take(.nulls) {
                if take(.first) {
                    term.nullsFirst = true
                } else if take(.last) {
                    term.nullsFirst = false
                } else {
                    throw unexpected("FIRST or LAST after NULLS")
                }
            }
            select.orderBy.append(term)
        } while take(.comma)
    }

    private mutating func limit(_ select: inout SelectSyntax) throws(ParseStop) {
        guard take(.limit) else { return }
        try refuseSubquery()
        let first = try expression().expression
        if take(.offset) {
            select.limit = first
            select.offset = try expression().expression
        } else if take(.comma) {
            select.offset = first
            select.limit = try expression().expression
        } else {
            select.limit = first
        }
    }
}
