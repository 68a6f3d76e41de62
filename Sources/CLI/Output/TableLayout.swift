/// Tables for people: a header, a rule, columns two blanks apart, numbers to the right.
///
/// Rows are laid out in groups, so that memory stays bounded however long the table is: widths come from
/// each group and never shrink. On a terminal columns of text share the width there is: the widest are cut first,
/// numbers and times never before text.

package struct TableCell: Sendable {
    package var text: String
    package var right: Bool
    /// Text that may be cut to make room.
    package var isText: Bool
    /// No value: shown in grey, on the column's side.
    package var isNull = false

    package static let null: TableCell = {
        var cell = TableCell(text: "NULL")
        cell.isNull = true
        return cell
    }()

    package init(text: String, right: Bool = false, isText: Bool = true) {
        self.text = text
        self.right = right
        self.isText = isText && !right
    }

    package init(_ cell: Cell, times: TimeText) {
        switch cell {
        case .absent: self.init(text: "")
        case .text(let value), .json(let value): self.init(text: TextLayout.harmless(value))
        case .time(let value): self.init(text: times.rfc3339(value), isText: false)
        case .integer(let value): self.init(text: String(value), right: true)
        case .double(let value): self.init(text: "\(value)", right: true)
        case .bool(let value): self.init(text: value ? "true" : "false")
        }
    }
}

package struct TableLayout {
    private static let groupRows = 500
    private let columns: [String]
    private let terminal: Terminal
    private let recordsWhenNarrow: Bool
    /// What a column of text keeps when room is short.
    private let textColumnsMin: Int
    private var widths: [Int]
    /// What a column needs at least.
    private var needed: [Int]
    /// By the first group: columns of numbers.
    private var numeric: [Bool] = []
    private var group: [[TableCell]] = []
    private var headed = false
    private var records: RecordLayout?

    /// - Parameter recordsWhenNarrow: on a terminal too narrow for the columns, each row becomes a block of lines.
    package init(columns: [String], terminal: Terminal, recordsWhenNarrow: Bool = false) {
        self.columns = columns
        self.terminal = terminal
        self.recordsWhenNarrow = recordsWhenNarrow
        // With records to turn to, columns need not be cut until nothing can be read.
        let textMin = recordsWhenNarrow ? 12 : 8
        textColumnsMin = textMin
        widths = columns.map { TextLayout.width($0) }
        needed = widths.map { min($0, textMin) }
    }

    /// Takes a row; gives text once a group is full.
    package mutating func add(_ row: [TableCell]) -> String? {
        group.append(row)
        return group.count >= TableLayout.groupRows ? drain() : nil
    }

    package mutating func finish() -> String { group.isEmpty && headed ? "" : drain() }

    private mutating func drain() -> String {
        measure()
        var text = ""
        if !headed {
            headed = true
            numeric = columns.indices.map { column in
                let cells = group.map { $0[column] }.filter { !$0.isNull && !$0.text.isEmpty }
                return !cells.isEmpty && cells.allSatisfy(\.right)
            }
            if recordsWhenNarrow, terminal.isTerminal, TableLayout.total(needed) > terminal.width {
                records = RecordLayout(columns: columns, terminal: terminal)
            } else {
                text = header(fitted())
            }
        }
        let shown = fitted()
        for row in group { text += records?.add(row) ?? line(row, shown) }
        group.removeAll(keepingCapacity: true)
        return text
    }

    // MARK: Widths

    private mutating func measure() {
        for row in group {
            for (index, cell) in row.enumerated() {
                let width = TextLayout.width(cell.text)
                widths[index] = max(widths[index], width)
                needed[index] = max(needed[index], cell.isText ? min(width, textColumnsMin) : width)
            }
        }
    }

    private static func total(_ widths: [Int]) -> Int { widths.reduce(0, +) + 2 * max(0, widths.count - 1) }

    /// Widths that fit the terminal, if they can: no column wider than what is left for the widest.
    private func fitted() -> [Int] {
        guard terminal.isTerminal, TableLayout.total(widths) > terminal.width else { return widths }
        func capped(_ cap: Int) -> [Int] { zip(widths, needed).map { max($1, min($0, cap)) } }
        var low = textColumnsMin
        var high = widths.max() ?? low
        while low < high {
            let middle = (low + high + 1) / 2
            if TableLayout.total(capped(middle)) <= terminal.width { low = middle } else { high = middle - 1 }
        }
        var result = capped(low)
        // What rounding left over goes to the last column that was cut.
        let left = terminal.width - TableLayout.total(result)
        if left > 0, let last = result.indices.last(where: { result[$0] < widths[$0] }) {
            result[last] = min(widths[last], result[last] + left)
        }
        return result
    }

    // MARK: Lines

    private func header(_ shown: [Int]) -> String {
        let cells = zip(columns, numeric).map { TableCell(text: $0, right: $1) }
        let stroke = terminal.unicode ? "─" : "-"
        let rule = shown.map { String(repeating: stroke, count: $0) }.joined(separator: "  ")
        let names = line(cells, shown).dropLast()
        return terminal.bold(String(names)) + "\n" + terminal.faint(fit(rule)) + "\n"
    }

    private func line(_ cells: [TableCell], _ shown: [Int]) -> String {
        var pieces: [(text: String, isNull: Bool)] = []
        var room = terminal.isTerminal ? terminal.width : Int.max
        for (index, cell) in cells.enumerated() where room > 0 {
            let right = cell.isNull ? numeric[index] : cell.right
            let cut = TextLayout.cut(cell.text, to: shown[index], unicode: terminal.unicode)
            var text = TextLayout.padded(cut, to: shown[index], right: right)
            if index < cells.count - 1 { text += "  " }
            text = TextLayout.cut(text, to: room, unicode: terminal.unicode)
            room -= min(room, TextLayout.width(text))
            pieces.append((text, cell.isNull))
        }
        while var last = pieces.popLast() {
            while last.text.last == " " { last.text.removeLast() }
            if last.text.isEmpty { continue }
            pieces.append(last)
            break
        }
        return pieces.map { $0.isNull ? terminal.faint($0.text) : $0.text }.joined() + "\n"
    }

    private func fit(_ text: String) -> String {
        terminal.isTerminal ? TextLayout.cut(text, to: terminal.width, unicode: terminal.unicode) : text
    }
}

/// A row as a block of lines, one a column, for tables that are too wide.
private struct RecordLayout {
    private let columns: [String]
    private let terminal: Terminal
    private let nameWidth: Int
    private var count = 0

    init(columns: [String], terminal: Terminal) {
        self.columns = columns.map { TextLayout.cut($0, to: terminal.width / 3, unicode: terminal.unicode) }
        self.terminal = terminal
        nameWidth = self.columns.map { TextLayout.width($0) }.max() ?? 0
    }

    mutating func add(_ row: [TableCell]) -> String {
        count += 1
        let title = (terminal.unicode ? "── " : "-- ") + "\(TextLayout.grouped(count)) "
        let stroke = terminal.unicode ? "─" : "-"
        let rest = String(repeating: stroke, count: max(0, min(terminal.width, 60) - TextLayout.width(title)))
        var text = terminal.faint(title + rest) + "\n"
        for (name, cell) in zip(columns, row) {
            let value = cell.isNull ? terminal.faint(cell.text) : cell.text
            text += terminal.bold(TextLayout.padded(name, to: nameWidth)) + (value.isEmpty ? "" : "  " + value) + "\n"
        }
        return text
    }
}
