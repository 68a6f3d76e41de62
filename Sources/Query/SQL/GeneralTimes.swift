// Texts that a statement for SQLite compares with `timestamp` or `received`, found by the tokens around them.

import EventStoreCore

struct GeneralTimes {
    let source: SQLSource
    let tokens: [SQLToken]
    private let parameters: [String: SQLValue]
    /// Last tokens of names that are a time column, by their first.
    private var lastOfTime: [Int: Int] = [:]
    /// Closing brackets by their opening ones.
    private var closings: [Int: Int] = [:]
    /// The AND of each BETWEEN.
    private var conjunctions: [Int: Int] = [:]
    private var found: [GeneralRewriter.Edit] = []
    private var converted: Set<Int> = []

    init(source: SQLSource, tokens: [SQLToken], chains: [GeneralRewriter.Chain], parameters: [String: SQLValue]) {
        self.source = source
        self.tokens = tokens
        self.parameters = parameters
        let other = Self.redefined(source, tokens, chains)
        for chain in chains {
            guard case .fixed(let column) = chain.meaning, column == .timestamp || column == .received,
                !other.contains(column)
            else { continue }
            lastOfTime[chain.first] = chain.last
        }
        if !lastOfTime.isEmpty { match() }
    }

    /// Finds what belongs together in one pass.
    private mutating func match() {
        var brackets: [Int] = []
        /// BETWEENs without their AND, and how many brackets were open there.
        var pending: [(index: Int, depth: Int)] = []
        for index in tokens.indices {
            switch tokens[index].kind {
            case .leftParen: brackets.append(index)
            case .rightParen:
                if let open = brackets.popLast() { closings[open] = index }
                while let last = pending.last, last.depth > brackets.count { pending.removeLast() }
            default: break
            }
            switch tokens[index].keyword {
            case .between: pending.append((index, brackets.count))
            case .and:
                if let last = pending.last, last.depth == brackets.count {
                    conjunctions[last.index] = index
                    pending.removeLast()
                }
            case .where, .group, .order, .limit, .then, .when, .else:
                while let last = pending.last, last.depth == brackets.count { pending.removeLast() }
            default: break
            }
        }
    }

    /// Columns whose name the statement gives to something else: `iso(timestamp) AS timestamp`.
    private static func redefined(
        _ source: SQLSource, _ tokens: [SQLToken], _ chains: [GeneralRewriter.Chain]
    ) -> Set<FixedColumn> {
        var columns: Set<FixedColumn> = []
        for chain in chains where chain.first == chain.last && chain.first >= 2 {
            guard case .fixed(let column) = chain.meaning, tokens[chain.first - 1].keyword == .as else { continue }
            let before = tokens[chain.first - 2]
            if !before.isName || !ASCII.equal(source.content(before), column.rawValue) { columns.insert(column) }
        }
        return columns
    }

    /// The edits, and the tokens they replace.
    func edits() throws(Fault) -> ([GeneralRewriter.Edit], Set<Int>) {
        var search = self
        for (first, last) in lastOfTime.sorted(by: { $0.key < $1.key }) {
            try search.right(of: last, first: first)
            try search.left(of: first, last: last)
        }
        return (search.found, search.converted)
    }

    private mutating func convert(_ index: Int) throws(Fault) {
        guard !converted.contains(index), let text = text(index) else { return }
        guard let ms = TimeLiteral.parse(text) else {
            throw source.fault(tokens[index].start, "'\(text.prefix(60))' is no time; \(TimeLiteral.hint)")
        }
        converted.insert(index)
        let token = tokens[index]
        // A sign must not meet another one before it: `--` would begin a comment.
        found.append(GeneralRewriter.Edit(start: token.start, end: token.end, text: ms < 0 ? "(\(ms))" : "\(ms)"))
    }

    /// The text that stands here, as a literal or a parameter's value.
    private func text(_ index: Int) -> String? {
        switch tokens[index].kind {
        case .string: return source.content(tokens[index])
        case .parameter:
            guard case .text(let text) = parameters[source.content(tokens[index])] else { return nil }
            return text.string
        default: return nil
        }
    }

    // MARK: Patterns

    /// Whether a token binds its neighbour tighter than a comparison does.
    private func binds(_ index: Int) -> Bool {
        guard index >= 0, index < tokens.count else { return false }
        if tokens[index].keyword == .collate { return true }
        switch tokens[index].kind {
        case .bitNot, .dot: return true
        default:
            guard let (_, level) = Precedence.binary(tokens[index].kind) else { return false }
            return level.rawValue > Precedence.comparison.rawValue
        }
    }

    /// Whether the tokens from `first` to `last` are an operand of their own.
    private func isOperand(_ first: Int, _ last: Int) -> Bool { !binds(first - 1) && !binds(last + 1) }

    private func isComparison(_ index: Int) -> Bool {
        guard let (_, level) = Precedence.binary(tokens[index].kind) else { return false }
        return level == .comparison || level == .equality
    }

    /// `column < 'text'`, `column IS NOT 'text'`, `column BETWEEN 'text' AND 'text'`, `column IN ('text', …)`.
    private mutating func right(of last: Int, first: Int) throws(Fault) {
        guard isOperand(first, last) else { return }
        var next = last + 1
        if isComparison(next) { return try operand(next + 1) }
        if tokens[next].keyword == .is {
            next += 1
            if tokens[next].keyword == .not { next += 1 }
            if tokens[next].keyword == .distinct, tokens[next + 1].keyword == .from { next += 2 }
            return try operand(next)
        }
        if tokens[next].keyword == .not { next += 1 }
        if tokens[next].keyword == .between {
            try operand(next + 1)
            if let and = conjunctions[next] { try operand(and + 1) }
        } else if tokens[next].keyword == .in, tokens[next + 1].kind == .leftParen {
            try list(next + 1)
        }
    }

    /// Converts the token when it is an operand of its own.
    private mutating func operand(_ index: Int) throws(Fault) {
        guard index < tokens.count, isOperand(index, index) else { return }
        try convert(index)
    }

    /// Converts the texts that are elements of the list whose bracket stands at `open`.
    private mutating func list(_ open: Int) throws(Fault) {
        guard let close = closings[open] else { return }
        var index = open + 1
        while index < close {
            let (before, after) = (tokens[index - 1].kind, tokens[index + 1].kind)
            if before == .comma || index == open + 1, after == .comma || index + 1 == close { try convert(index) }
            index = (closings[index] ?? index) + 1
        }
    }

    /// `'text' < column`, `'text' IS column`, `'text' BETWEEN column AND …`.
    private mutating func left(of first: Int, last: Int) throws(Fault) {
        guard isOperand(first, last), first >= 2 else { return }
        var before = first - 1
        if isComparison(before) { return try operand(before - 1) }
        if tokens[before].keyword == .between, before >= 2 {
            before -= 1
            if tokens[before].keyword == .not, before >= 1 { before -= 1 }
            return try operand(before)
        }
        if tokens[before].keyword == .not, before >= 2 { before -= 1 }
        if tokens[before].keyword == .is { try operand(before - 1) }
    }
}
