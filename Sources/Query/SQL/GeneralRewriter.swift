// Makes a statement fit for SQLite, token by token: dotted attributes get their quotes, times become milliseconds.
// What stands in strings and comments is never touched.

import EventStoreCore

struct GeneralRewriter {
    struct Edit {
        var start: Int
        var end: Int
        var text: String
    }

    /// A name in the text: tokens from `first` to `last`, and what it refers to as far as can be told.
    struct Chain {
        enum Meaning {
            case fixed(FixedColumn)
            case attribute(String)
            case other
        }
        var first: Int
        var last: Int
        var meaning: Meaning
    }

    let source: SQLSource
    let tokens: [SQLToken]
    /// The first token after EXPLAIN.
    let first: Int
    let parameters: [String: SQLValue]
    private let lookup: NameLookup
    private var edits: [Edit] = []
    private var attributes: [String] = []
    /// The spelling used for each attribute, by its lower-case form.
    private var spellings: [String: String] = [:]
    private var tables: Set<String> = []

    init(
        source: SQLSource, tokens: [SQLToken], first: Int, parameters: [String: SQLValue], names: any NameCatalog
    ) {
        self.source = source
        self.tokens = tokens
        self.first = first
        self.parameters = parameters
        lookup = NameLookup(names)
    }

    func statement(_ reason: String) throws(Fault) -> GeneralStatement {
        var rewriter = self
        rewriter.tables = tableNames()
        let chains = try rewriter.chains()
        let times = GeneralTimes(source: source, tokens: tokens, chains: chains, parameters: parameters)
        let (timeEdits, converted) = try times.edits()
        rewriter.edits += timeEdits
        let left = Set(
            tokens.indices.filter { tokens[$0].kind == .parameter && !converted.contains($0) }
                .map { source.content(tokens[$0]) })
        return GeneralStatement(
            text: rewriter.text(), attributes: rewriter.attributes, reason: reason,
            parameters: parameters.filter { left.contains($0.key) })
    }

    /// The text with the edits, EXPLAIN blanked so that places in it stay where they are.
    private func text() -> String {
        var bytes: [UInt8] = []
        var position = 0
        for edit in edits.sorted(by: { $0.start < $1.start }) where edit.start >= position {
            bytes += source.bytes[position..<edit.start]
            bytes += edit.text.utf8
            position = edit.end
        }
        bytes += source.bytes[position...]
        for token in tokens[..<first] {
            for index in token.start..<token.end { bytes[index] = 0x20 }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Names

    /// Names that stand where a table or its alias does, in lower case.
    private func tableNames() -> Set<String> {
        var names: Set<String> = []
        for index in tokens.indices.dropFirst() where tokens[index].isName && tokens[index + 1].kind != .dot {
            let before = tokens[index - 1]
            let follows: Bool
            switch before.kind {
            case .comma, .rightParen, .quotedName: follows = true
            case .word:
                switch before.keyword {
                case nil, .as, .from, .join, .with, .recursive: follows = true
                default: follows = false
                }
            default: follows = false
            }
            if follows { names.insert(ASCII.lowercased(source.content(tokens[index]))) }
        }
        return names
    }

    private mutating func chains() throws(Fault) -> [Chain] {
        var chains: [Chain] = []
        var index = first
        while index < tokens.count {
            guard let last = chainEnd(index) else {
                index += 1
                continue
            }
            chains.append(try chain(index, last))
            index = last + 1
        }
        return chains
    }

    /// The last token of the name that begins at `index`.
    private func chainEnd(_ index: Int) -> Int? {
        guard tokens[index].isName else { return nil }
        var last = index
        while tokens[last + 1].kind == .dot, tokens[last + 2].isName { last += 2 }
        if last == index, tokens[index].kind == .word {
            if tokens[index].keyword?.isReserved == true || tokens[index + 1].kind == .leftParen { return nil }
        }
        return last
    }

    private mutating func chain(_ first: Int, _ last: Int) throws(Fault) -> Chain {
        let parts = stride(from: first, through: last, by: 2).map { source.content(tokens[$0]) }
        let (meaning, qualified) = meaning(parts)
        if case .attribute(let name) = meaning {
            try mention(name, at: tokens[first].start)
            let nameParts = qualified ? parts.count - 1 : parts.count
            if nameParts > 1 { quote(name, from: qualified ? first + 2 : first, to: last) }
        }
        if case .fixed(.attributes) = meaning { try extraction(first, last, isQualified: qualified) }
        return Chain(first: first, last: last, meaning: meaning)
    }

    /// What a name refers to, and whether its first part is a table.
    private func meaning(_ parts: [String]) -> (Chain.Meaning, isQualified: Bool) {
        if parts.count == 1 { return (column(parts[0]), false) }
        let rest = parts.count == 2 ? column(parts[1]) : attribute(parts.dropFirst().joined(separator: "."))
        if tables.contains(ASCII.lowercased(parts[0])), !isOther(rest) { return (rest, true) }
        let whole = attribute(parts.joined(separator: "."))
        return isOther(whole) ? (rest, true) : (whole, false)
    }

    private func isOther(_ meaning: Chain.Meaning) -> Bool { if case .other = meaning { true } else { false } }

    private func column(_ name: String) -> Chain.Meaning {
        lookup.fixedColumn(name).map { .fixed($0) } ?? attribute(name)
    }

    private func attribute(_ name: String) -> Chain.Meaning {
        guard let found = try? lookup.attribute(name) else { return .other }
        return .attribute(found)
    }

    private mutating func mention(_ name: String, at offset: Int) throws(Fault) {
        let lowered = ASCII.lowercased(name)
        guard let spelling = spellings[lowered] else {
            spellings[lowered] = name
            attributes.append(name)
            return
        }
        if spelling != name {
            throw source.fault(
                offset,
                "the attributes '\(spelling)' and '\(name)' differ in case alone; one statement can use only one of "
                    + "them when SQLite runs it")
        }
    }

    private mutating func quote(_ name: String, from first: Int, to last: Int) {
        edits.append(Edit(start: tokens[first].start, end: tokens[last].end, text: Self.quoted(name)))
    }

    private static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// `attributes ->> 'name'` reads the attribute's own column: a name with dots would be a path to SQLite.
    private mutating func extraction(_ first: Int, _ last: Int, isQualified: Bool) throws(Fault) {
        guard tokens[last + 1].kind == .doubleArrow, tokens[last + 2].kind == .string,
            let name = NameLookup.attributeName(path: source.content(tokens[last + 2])),
            lookup.isExactAttribute(name), lookup.fixedColumn(name) == nil
        else { return }
        try mention(name, at: tokens[last + 2].start)
        edits.append(Edit(start: tokens[last].start, end: tokens[last + 2].end, text: Self.quoted(name)))
    }
}
