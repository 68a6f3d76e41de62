// Draws queries from a grammar. Values come from the data: a pivot event is chosen, and most predicates are made to
// hold for it (pivoted query synthesis, Rigger & Su, OSDI 2020), so that most answers have rows.

import EventStore

/// A column the grammar can use.
struct Column: Sendable {
    let name: String
    let isFixed: Bool
    let traits: ColumnTraits

    static let fixed: [Column] = [
        Column(name: "entity", isFixed: true, traits: [.textual, .groups]),
        Column(name: "type", isFixed: true, traits: [.textual, .groups]),
        Column(name: "timestamp", isFixed: true, traits: [.numeric]),
        Column(name: "sequence", isFixed: true, traits: [.numeric]),
        Column(name: "received", isFixed: true, traits: [.numeric, .groups]),
        Column(name: "id", isFixed: true, traits: [.textual]),
    ]
    static let attributes = AttributeSpec.all.map { Column(name: $0.name, isFixed: false, traits: $0.traits) }
    static let all = fixed + attributes
    static let textual = all.filter { $0.traits.contains(.textual) }
    static let numeric = all.filter { $0.traits.contains(.numeric) }
    /// Without integers whose arithmetic overflows or whose absolute value is an error.
    static let calm = numeric.filter { !$0.traits.contains(.huge) }
    static let grouping = all.filter { $0.traits.contains(.groups) }
    static let flags = all.filter { $0.traits.contains(.flag) }
    static let wholeNumbers = calm.filter { $0.traits.isDisjoint(with: [.doubles, .textual]) }
    /// What has a text that both sides agree on.
    static let readable = all.filter { !$0.traits.contains(.noText) }

    func value(of event: Event) -> Cell {
        guard isFixed else { return Cell(event.attributes[name]) }
        return switch name {
        case "entity": .text(event.entity)
        case "type": .text(event.type)
        case "timestamp": .integer(event.timestamp)
        case "sequence": .integer(Int64(event.sequence))
        case "received": .integer(event.received)
        default: .text(event.id?.uuidString.lowercased() ?? "")
        }
    }
}

/// What a predicate says of a row.
enum Truth { case yes, no, unknown }

struct QueryGenerator {
    let events: [Event]
    /// What the reference says of a predicate and an event, by position; `nil` when it fails.
    let truth: (Fragment, Int) -> Truth?
    /// Whether SQLite reads this double's text exactly.
    let reads: (Double) -> Bool
    var random: SeededGenerator
    var pivot = 0
    var features: Set<String> = []
    /// The alias before each column, in joins.
    var table: String?

    init(
        events: [Event], seed: UInt64, truth: @escaping (Fragment, Int) -> Truth?, reads: @escaping (Double) -> Bool
    ) {
        self.events = events
        self.truth = truth
        self.reads = reads
        random = SeededGenerator(seed: seed, purpose: 2)
        pivot = random.below(events.count)
    }

    /// The next query of this seed.
    mutating func question() -> Question {
        features = []
        pivot = random.below(events.count)
        // Joins of a large entity with itself take too long.
        let isTall = events.count >= Population.tallRows.lowerBound
        var question =
            switch isTall ? random.within(20...80) : random.below(100) {
            case _ where isTall && random.percent(60): boundary()
            case 0..<2: broken()
            case 2..<14: general()
            case 14..<32: dashboard()
            case 32..<57: grouped()
            case 57..<72: boundary()
            default: plain()
            }
        question.features.formUnion(features)
        return question
    }

    mutating func note(_ feature: String) { features.insert(feature) }

    // MARK: Columns

    /// - Parameter alone: nothing stands beside it that binds more tightly than a comparison.
    mutating func mention(_ column: Column, alone: Bool = false) -> Fragment {
        note("column " + (column.isFixed ? column.name : "attribute"))
        let style: ColumnMention.Style
        let arrow = alone ? ColumnMention.Style.arrow : .arrowInParentheses
        if column.isFixed {
            style = random.percent(8) ? .quoted : .bare
        } else if Reference.fixedColumns.contains(column.name) {
            style = arrow
        } else if isPlainName(column.name, dots: table == nil), random.percent(80) {
            style = .bare
        } else {
            style = table == nil && random.percent(10) ? arrow : .quoted
        }
        if !column.isFixed {
            note("name \(style)")
            if column.name.contains("."), style == .bare { note("name dotted, bare") }
        }
        let mention = ColumnMention(name: column.name, isFixed: column.isFixed, style: style, table: table)
        return Fragment([.column(mention)], column.traits)
    }

    /// A name that needs no quotes.
    private func isPlainName(_ name: String, dots: Bool) -> Bool {
        let isWord = name.utf8.allSatisfy { byte in
            byte >= 0x80 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") && dots
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
        }
        return isWord && name != "select"
    }

    mutating func column(_ name: String) -> Fragment {
        mention(
            Column.all.first { $0.name == name && $0.isFixed } ?? Column.all.first { $0.name == name } ?? Column.all[0])
    }

    func pivotValue(_ column: Column) -> Cell { column.value(of: events[pivot]) }

    /// The pivot's value, or now and then another event's.
    mutating func value(_ column: Column, ofPivot share: Int = 75) -> Cell {
        if random.percent(share) { return pivotValue(column) }
        return column.value(of: events[random.below(events.count)])
    }

    /// A column that the pivot mostly has a value of.
    mutating func pick(_ columns: [Column]) -> Column {
        var choice = random.pick(columns)
        for _ in 0..<3 where pivotValue(choice) == .null { choice = random.pick(columns) }
        return choice
    }

    // MARK: Literals

    mutating func literal(_ cell: Cell) -> Fragment {
        var cell = cell
        if case .real(let number) = cell, !reads(number) { cell = .real((number * 1000).rounded() / 1000) }
        if case .real(let number) = cell, !reads(number) { cell = .real(0.5) }
        if random.percent(6), cell != .null {
            note("parameter")
            return Fragment([.parameter(cell)])
        }
        return .literal(cell)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Fragment { literal(.integer(Int64(random.within(range)))) }

    /// A moment as text: a date where it is midnight, else RFC 3339 in one of its forms.
    mutating func moment(_ time: Int64) -> Fragment {
        guard let calendar = CalendarTime(zone: nil), random.percent(60) else {
            note("time as number")
            return literal(.integer(time))
        }
        let text = calendar.text(time)
        if time % Population.dayMs == 0, random.percent(70) {
            note("time as date")
            return Fragment([.time(time, String(text.prefix(10)))])
        }
        note("time as RFC 3339")
        if time % 1000 == 0, random.percent(50) {
            return Fragment([.time(time, String(text.prefix(19)) + "Z")])
        }
        if random.percent(30), let shifted = CalendarTime(zone: "GMT+0200") {
            return Fragment([.time(time, shifted.text(time))])
        }
        return Fragment([.time(time, text)])
    }
}
