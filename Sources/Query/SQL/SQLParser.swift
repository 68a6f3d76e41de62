// The SQL front end: from text to a query tree, or to a text for SQLite.

import EventStoreCore

/// A statement beyond the native subset, as SQLite is to run it.
package struct GeneralStatement: Sendable {
    /// The statement with dotted names quoted and times converted.
    package var text: String
    /// The attributes it mentions, as the store spells them.
    package var attributes: [String]
    /// What only SQLite does: "a join".
    package var reason: String
    /// Values of the `:name`, `@name` and `$name` that are left in the text, by bare name.
    package var parameters: [String: SQLValue]
}

package struct ParsedStatement: Sendable {
    package enum Body: Sendable {
        case native(SelectQuery)
        case general(GeneralStatement)
    }
    package var isExplain: Bool
    package var body: Body
}

package enum SQLParser {
    /// "no column or attribute 'statsu'; did you mean 'status'?": for a name that SQLite does not find.
    package static func unknownName(_ name: String, names: any NameCatalog) -> String {
        NameLookup(names).unknown(name)
    }

    /// Reads one SELECT, WITH or VALUES, with EXPLAIN or without.
    ///
    /// - Throws: `invalid` or `limit`, with line and column in the message and the byte in `place.offset`.
    package static func parse(
        _ text: String, parameters: [String: SQLValue], names: any NameCatalog
    ) throws(Fault) -> ParsedStatement {
        guard text.utf8.count <= SQLLimits.textBytesMax else {
            throw Fault(.limit, "the statement is longer than \(SQLLimits.textBytesMax) bytes")
        }
        let source = SQLSource(text)
        let tokens = try SQLLexer.tokens(source)
        let parameters = parameters.mapValues(SyntaxParser.bound)
        var parser = SyntaxParser(source: source, tokens: tokens, parameters: parameters)
        let isExplain = try parser.statementKind()
        try parser.checkParameters()
        do throws(ParseStop) {
            switch parser.token.keyword {
            case .with: throw .general("WITH")
            case .values: throw .general("VALUES")
            default: break
            }
            let syntax = try parser.select()
            let query = try SelectResolver.resolve(syntax, parser.names, source: source, names: names)
            return ParsedStatement(isExplain: isExplain, body: .native(query))
        } catch {
            switch error {
            case .fault(let fault): throw fault
            case .general(let reason):
                let rewriter = GeneralRewriter(
                    source: source, tokens: tokens, first: parser.firstToken, parameters: parameters, names: names)
                return ParsedStatement(isExplain: isExplain, body: .general(try rewriter.statement(reason)))
            }
        }
    }
}

extension SyntaxParser {
    private static let allowed = "SELECT (also after WITH), VALUES, and EXPLAIN before them"

    /// Passes over empty statements and EXPLAIN; refuses what is not one question.
    fileprivate mutating func statementKind() throws(Fault) -> Bool {
        while take(.semicolon) {}
        let isExplain = take(.explain)
        if isExplain, token.keyword == .query, ahead().keyword == .plan { position += 2 }
        firstToken = position
        let text = source.text(token).uppercased()
        switch token.keyword {
        case .select, .values: break
        case .with: try refuseChanges()
        default:
            if token.kind == .finish || token.kind == .semicolon {
                throw source.fault(token.start, "there is no statement; what can be asked is \(Self.allowed)")
            }
            let what = token.kind == .word ? text : source.name(of: token)
            throw source.fault(token.start, "the store answers questions: \(Self.allowed); not \(what)")
        }
        if let end = tokens[position...].firstIndex(where: { $0.kind == .semicolon }),
            let more = tokens[end...].first(where: { $0.kind != .semicolon && $0.kind != .finish })
        {
            throw source.fault(more.start, "one statement at a time; this is a second one")
        }
        return isExplain
    }

    /// WITH may lead to a statement that writes.
    private func refuseChanges() throws(Fault) {
        var depth = 0
        for index in position..<tokens.count {
            let token = tokens[index]
            switch token.kind {
            case .leftParen: depth += 1
            case .rightParen: depth -= 1
            case .word where depth == 0:
                let isReplace = token.keyword == .replace && ahead(index + 1 - position).keyword == .into
                let change = [.insert, .update, .delete].contains(token.keyword)
                guard change || isReplace else { continue }
                throw source.fault(
                    token.start,
                    "the store answers questions: \(Self.allowed); not \(source.text(token).uppercased())")
            default: break
            }
        }
    }

    /// Every parameter of the text has a value, and every value a place.
    fileprivate func checkParameters() throws(Fault) {
        var used: Set<String> = []
        for token in tokens where token.kind == .parameter {
            let name = source.content(token)
            guard parameters[name] != nil else {
                let near = SimilarNames.question(name, among: Array(parameters.keys))
                throw source.fault(token.start, "the parameter \(source.text(token)) has no value" + near)
            }
            used.insert(name)
        }
        if let unused = parameters.keys.filter({ !used.contains($0) }).min() {
            throw Fault(.invalid, "the parameter '\(unused)' is not in the text; it would stand there as :\(unused)")
        }
    }
}
