// Pieces of SQL that know what differs between the store's text and the reference's: names, times, aggregates.

import EventStore

/// A column as a query mentions it.
struct ColumnMention: Hashable, Sendable {
    enum Style: Hashable, Sendable {
        case bare, quoted, arrow
        /// With parentheses, as an operand of what binds as tightly as `->>`.
        case arrowInParentheses
    }
    /// A fixed column's name, or an attribute's.
    let name: String
    let isFixed: Bool
    let style: Style
    /// The table's alias, in joins.
    let table: String?
}

/// SQL in parts. Written as a string literal with fragments inside; traits of the parts become the whole's.
struct Fragment: ExpressibleByStringInterpolation, Sendable {
    indirect enum Piece: Sendable {
        case text(String)
        case column(ColumnMention)
        /// `*`: the fixed columns.
        case star
        /// A moment, as the text a user writes; a number for the reference.
        case time(Int64, String)
        /// A named parameter in the store's text, a literal for the reference.
        case parameter(Cell)
        /// `sum`, `total` or `avg`: name, argument, whether DISTINCT.
        case sum(String, Fragment, isDistinct: Bool)
        /// `first` or `last`: name, argument, what to order by; for the reference the store's implied order is spelled out.
        case ordered(String, Fragment, by: Fragment?)
    }

    var pieces: [Piece]
    var traits: ColumnTraits

    init(_ pieces: [Piece], _ traits: ColumnTraits = []) {
        self.pieces = pieces
        self.traits = traits
    }

    init(_ text: String) { self.init([.text(text)]) }
    init(stringLiteral text: String) { self.init([.text(text)]) }

    init(stringInterpolation: StringInterpolation) {
        self.init(stringInterpolation.pieces, stringInterpolation.traits)
    }

    struct StringInterpolation: StringInterpolationProtocol {
        var pieces: [Piece] = []
        var traits: ColumnTraits = []
        init(literalCapacity: Int, interpolationCount: Int) {}
        mutating func appendLiteral(_ text: String) { if !text.isEmpty { pieces.append(.text(text)) } }
        mutating func appendInterpolation(_ fragment: Fragment) {
            pieces += fragment.pieces
            traits.formUnion(fragment.traits)
        }
        mutating func appendInterpolation(_ number: Int) { pieces.append(.text(String(number))) }
        mutating func appendInterpolation(_ text: String) { pieces.append(.text(text)) }
    }

    func with(_ traits: ColumnTraits) -> Fragment { Fragment(pieces, traits) }
    func adding(_ more: ColumnTraits) -> Fragment { Fragment(pieces, traits.union(more)) }
    func without(_ less: ColumnTraits) -> Fragment { Fragment(pieces, traits.subtracting(less)) }

    static func joined(_ parts: [Fragment], _ separator: String) -> Fragment {
        var whole = Fragment([])
        for (index, part) in parts.enumerated() {
            if index > 0 { whole.pieces.append(.text(separator)) }
            whole.pieces += part.pieces
            whole.traits.formUnion(part.traits)
        }
        return whole
    }

    /// A literal as SQL writes it.
    static func literal(_ cell: Cell) -> Fragment { Fragment(sql(cell)) }

    static func sql(_ cell: Cell) -> String {
        switch cell {
        case .null: return "NULL"
        case .integer(let number): return String(number)
        case .real(let number): return "\(number)"
        case .text(let text):
            return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
        }
    }
}

/// A literal with fragments inside, where the compiler would take it for a `String`.
func part(_ fragment: Fragment) -> Fragment { fragment }

/// For whom a query is written down.
struct Dialect: Sendable {
    var isStore = false
    /// `sum` of the reference without SQLite's order-dependent overflow.
    var exactSums = false
    /// `first(x)` with what the store orders by, as statements that SQLite runs must say it.
    var spellsOrder = false
    /// Columns wrapped so that no index, zone map or bloom can see through.
    var hidesColumns = false
    /// The argument of the aggregate made absolute: how large the parts of a rounded sum are.
    var absolute = false

    static let store = Dialect(isStore: true)
    static let general = Dialect(isStore: true, spellsOrder: true)
    static let unpruned = Dialect(isStore: true, hidesColumns: true)
    static let reference = Dialect()
    static let hiddenReference = Dialect(hidesColumns: true)
}

/// Writes fragments down in a dialect.
struct SQLWriter {
    let dialect: Dialect
    private(set) var sql = ""
    private(set) var parameters: [String: QueryValue] = [:]
    private var names: [Cell: String] = [:]
    /// Set while the condition of a query is written, the only place where columns are hidden.
    var isCondition = false

    init(_ dialect: Dialect) { self.dialect = dialect }

    mutating func write(_ text: String) { sql += text }

    mutating func write(_ fragment: Fragment) {
        for piece in fragment.pieces {
            switch piece {
            case .text(let text): sql += text
            case .column(let column): write(column)
            case .star: sql += dialect.isStore ? "*" : Reference.fixedColumns.joined(separator: ", ")
            case .time(let time, let text):
                let isNumber = !dialect.isStore || dialect.hidesColumns && isCondition
                sql += isNumber ? String(time) : "'\(text)'"
            case .parameter(let cell): write(parameter: cell)
            case .sum(let name, let argument, let isDistinct): write(sum: name, argument, isDistinct)
            case .ordered(let name, let argument, let order): write(ordered: name, argument, order)
            }
        }
    }

    private mutating func write(parameter cell: Cell) {
        guard dialect.isStore else { return sql += Fragment.sql(cell) }
        // One name a value: an expression written twice stays the same expression.
        let name = names[cell] ?? "p\(names.count + 1)"
        names[cell] = name
        parameters[name] = cell.queryValue
        sql += ":" + name
    }

    private mutating func write(sum name: String, _ argument: Fragment, _ isDistinct: Bool) {
        if dialect.absolute {
            sql += name == "avg" ? "avg" : "total"
            sql += isDistinct ? "(DISTINCT abs(0.0 + (" : "(abs(0.0 + ("
            write(argument)
            sql += ")))"
        } else {
            sql += name == "sum" && dialect.exactSums ? "exact_sum" : name
            sql += isDistinct ? "(DISTINCT " : "("
            write(argument)
            sql += ")"
        }
    }

    private mutating func write(ordered name: String, _ argument: Fragment, _ order: Fragment?) {
        sql += name + "("
        write(argument)
        if let order {
            sql += ", "
            write(order)
        }
        // Where SQLite runs, what the store orders by is said.
        if !dialect.isStore || dialect.spellsOrder { sql += order == nil ? ", timestamp, sequence" : ", sequence" }
        sql += ")"
    }

    private mutating func write(_ column: ColumnMention) {
        let table = column.table.map { $0 + "." } ?? ""
        let isHidden = dialect.hidesColumns && isCondition
        let name: String
        if dialect.isStore {
            switch column.style {
            case .bare: name = table + column.name
            case .quoted: name = table + Reference.quoted(column.name)
            case .arrow, .arrowInParentheses:
                let arrow = table + "attributes->>" + Fragment.sql(.text(column.name))
                name = column.style == .arrow && !isHidden ? arrow : "(" + arrow + ")"
            }
        } else {
            name = table + Reference.quoted(column.isFixed ? column.name : Reference.column(column.name))
        }
        guard isHidden else { return sql += name }
        switch column.name {
        case "entity", "type", "id":
            // A cast keeps the affinity, which comparisons with literals of another kind go by.
            sql += column.isFixed ? "CAST(\(name) AS TEXT)" : "(+\(name))"
        case "timestamp", "sequence", "received":
            sql += column.isFixed ? "CAST(\(name) AS INTEGER)" : "(+\(name))"
        default: sql += "(+\(name))"
        }
    }
}
