/// Tables for people: a header, a rule, columns two blanks apart, numbers to the right.
///
/// Rows are laid out in groups, so that memory stays bounded however long the table is: widths come from
/// each group and never shrink. On a terminal the last column is cut to fit.

package struct TableCell: Sendable {
    package var text: String
    package var right: Bool

    package init(text: String, right: Bool = false) {
        self.text = text
        self.right = right
    }

    package init(_ cell: Cell, times: TimeText) {
        switch cell {
        case .absent: self.init(text: "")
        case .text(let value), .json(let value): self.init(text: TextLayout.harmless(value))
        case .time(let value): self.init(text: times.rfc3339(value))
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
    private var widths: [Int]
    private var group: [[TableCell]] = []
    private var headed = false

    package init(columns: [String], terminal: Terminal) {
        self.columns = columns
        self.terminal = terminal
        widths = columns.map { TextLayout.width($0) }
    }

    /// Takes a row; gives text once a group is full.
    package mutating func add(_ row: [TableCell]) -> String? {
        group.append(row)
        return group.count >= TableLayout.groupRows ? drain() : nil
    }

    package mutating func finish() -> String { group.isEmpty && headed ? "" : drain() }

    private mutating func drain() -> String {
        for row in group {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], TextLayout.width(cell.text)) }
        }
        var text = headed ? "" : header()
        headed = true
        for row in group { text += line(row) { $0 } }
        group.removeAll(keepingCapacity: true)
        return text
    }

    private func header() -> String {
        let numeric = columns.indices.map { column in
            !group.isEmpty && group.allSatisfy { $0[column].right || $0[column].text.isEmpty }
        }
        let cells = zip(columns, numeric).map { TableCell(text: $0, right: $1) }
        let stroke = terminal.unicode ? "─" : "-"
        let rule = widths.map { String(repeating: stroke, count: $0) }.joined(separator: "  ")
        return line(cells) { terminal.bold($0) } + terminal.faint(fit(rule)) + "\n"
    }

    private func line(_ cells: [TableCell], style: (String) -> String) -> String {
        var text = ""
        for (index, cell) in cells.enumerated() {
            let isLast = index == cells.count - 1
            text +=
                isLast && !cell.right
                ? cell.text : TextLayout.padded(cell.text, to: widths[index], right: cell.right)
            if !isLast { text += "  " }
        }
        while text.last == " " { text.removeLast() }
        return style(fit(text)) + "\n"
    }

    private func fit(_ text: String) -> String {
        terminal.isTerminal ? TextLayout.cut(text, to: terminal.width, unicode: terminal.unicode) : text
    }
}
