// Calls of functions and aggregates: their names, how many arguments, DISTINCT and FILTER.

import EventStoreCore

extension SyntaxParser {
    /// The parts of a call between its brackets.
    private struct Arguments {
        var terms: [Term] = []
        var isStar = false
        /// The word DISTINCT, if it stands there.
        var distinct: SQLToken?
    }

    mutating func call() throws(ParseStop) -> Term {
        let function = token
        let name = ASCII.lowercased(source.content(function))
        let aggregate = FunctionCatalog.aggregates[name]
        let scalar = FunctionCatalog.scalar(name)
        if aggregate == nil, scalar == nil {
            if let reason = FunctionCatalog.reason(name) { throw .general(reason) }
            let near = SimilarNames.question(name, among: FunctionCatalog.names)
            throw source.stop(function.start, "no function '\(source.content(function))'" + near)
        }
        advance()
        let arguments = try arguments()
        if let aggregate, scalar == nil || arguments.terms.count == 1 || arguments.isStar {
            return try aggregateCall(aggregate, function, arguments)
        }
        guard let scalar else { throw unexpected("a function") }
        if let distinct = arguments.distinct {
            throw source.stop(distinct.start, "DISTINCT goes with aggregates; \(name)() is none")
        }
        let counts = FunctionCatalog.arguments(of: scalar)
        try check(arguments, counts, function, aggregate == nil ? counts : 1...FunctionCatalog.argumentsMax)
        if isFilter { throw source.stop(token.start, "FILTER goes with aggregates; \(name)() is none") }
        try refuseWindow()
        return try term(
            .function(scalar, arguments.terms.map(\.expression)), from: function.start, over: arguments.terms)
    }

    private mutating func arguments() throws(ParseStop) -> Arguments {
        var arguments = Arguments()
        let open = token.start
        try expect(.leftParen, "'('")
        if token.kind == .star, ahead().kind == .rightParen {
            advance()
            arguments.isStar = true
        } else if token.kind != .rightParen {
            if token.keyword == .distinct { arguments.distinct = token }
            if !take(.distinct) { _ = take(.all) }
            repeat {
                try refuseSubquery()
                arguments.terms.append(try expression())
            } while take(.comma)
            if token.keyword == .order { throw .general("an order inside an aggregate") }
        }
        guard take(.rightParen) else { throw unexpected("an operator, ',' or ')' for the '(' at \(place(open))") }
        return arguments
    }

    private func check(
        _ arguments: Arguments, _ counts: ClosedRange<Int>, _ function: SQLToken, _ said: ClosedRange<Int>
    ) throws(ParseStop) {
        guard !counts.contains(arguments.terms.count) || arguments.isStar else { return }
        let found = arguments.isStar ? "'*' is none" : "found \(arguments.terms.count)"
        throw source.stop(
            function.start, "\(source.content(function))() \(FunctionCatalog.sentence(said)); \(found)")
    }

    private mutating func aggregateCall(
        _ kind: AggregateKind, _ function: SQLToken, _ arguments: Arguments
    ) throws(ParseStop) -> Term {
        let name = ASCII.lowercased(source.content(function))
        if !(kind == .count && arguments.isStar) {
            try check(arguments, FunctionCatalog.arguments(of: kind), function, FunctionCatalog.arguments(of: kind))
        }
        if let distinct = arguments.distinct {
            switch kind {
            case .quantile, .first, .last:
                throw source.stop(distinct.start, "DISTINCT goes with count, sum, total, avg, min and max")
            default: break
            }
        }
        if let nested = arguments.terms.first(where: { $0.expression.hasAggregate }) {
            throw source.stop(
                nested.expression.range.lowerBound, "an aggregate cannot stand inside another (\(name)())")
        }
        if kind == .quantile { try checkRank(arguments.terms[1].expression) }
        var call = AggregateCall(kind, arguments.terms.map(\.expression), isDistinct: arguments.distinct != nil)
        var children = arguments.terms
        if isFilter {
            let filter = try filter()
            call.filter = filter.expression
            children.append(filter)
        }
        try refuseWindow()
        return try term(.aggregate(call), from: function.start, over: children)
    }

    /// The second argument of `quantile`.
    private func checkRank(_ rank: Expression) throws(ParseStop) {
        let number: Double? =
            switch rank.node {
            case .literal(.integer(let value)): Double(value)
            case .literal(.double(let value)): value
            default: nil
            }
        guard let number, number >= 0, number <= 1 else {
            throw source.stop(
                rank.range.lowerBound, "the second argument of quantile() is a number from 0 to 1, such as 0.95")
        }
    }

    private var isFilter: Bool { token.keyword == .filter && ahead().kind == .leftParen }

    private mutating func filter() throws(ParseStop) -> Term {
        advance()
        advance()
        try expect(.where)
        let condition = try expression()
        if condition.expression.hasAggregate {
            throw source.stop(
                condition.expression.range.lowerBound, "FILTER chooses events; an aggregate cannot stand in it")
        }
        try expect(.rightParen, "')' after the condition of FILTER")
        return condition
    }

    private func refuseWindow() throws(ParseStop) {
        guard token.keyword == .over, ahead().kind == .leftParen || ahead().isName else { return }
        throw .general("a window function")
    }
}
