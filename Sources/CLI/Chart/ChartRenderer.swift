/// Draws a chart with characters: stacked bars, axes, a legend with totals.
///
/// With colours a series is a colour and heights are exact to an eighth of a row; without colours a series is
/// a shade of fill; without Unicode a letter. A bar with any event shows at least a sliver.

import Foundation

package struct ChartStyle: Sendable {
    package var width: Int
    /// Rows of the plot; a multiple of 12 gives the value axis most freedom.
    package var height: Int
    package var colours: Bool
    package var unicode: Bool

    package init(width: Int = 80, height: Int = 12, colours: Bool = false, unicode: Bool = true) {
        self.width = width
        self.height = height
        self.colours = colours
        self.unicode = unicode
    }

    package init(_ terminal: Terminal, width: Int? = nil, height: Int = 12) {
        self.init(
            width: width ?? terminal.width, height: height, colours: terminal.colours, unicode: terminal.unicode)
    }
}

package struct ChartRenderer {
    private static let axisColumns = 7
    /// Told apart also with the common colour blindnesses; the last is for "other".
    private static let palette = [75, 214, 78, 204, 141, 228, 245]
    private static let eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    private static let shades = ["█", "▓", "▒", "░", "▚", "▞", "·"]
    private static let letters = ["#", "+", "o", "=", "x", "-", "."]

    private let data: ChartData
    private let style: ChartStyle
    private let zone: TimeZone

    /// `data` should hold no more series than colours: see ``ChartData/top(_:)``.
    package init(_ data: ChartData, style: ChartStyle, zone: TimeZone) {
        self.data = data
        self.style = style
        self.zone = zone
    }

    /// Columns a chart of this width has for bars.
    package static func plotColumns(width: Int) -> Int { max(10, width - axisColumns - 1) }

    package func text(title: String) -> String {
        let axis = ValueAxis(max: data.sums.max() ?? 0, rows: style.height)
        let barColumns = max(1, min(12, ChartRenderer.plotColumns(width: style.width) / max(1, data.grid.starts.count)))
        return TextLayout.cut(title, to: style.width, unicode: style.unicode) + "\n"
            + plot(axis, barColumns: barColumns) + foot(barColumns: barColumns) + "\n" + legend()
    }

    // MARK: Bars

    private func plot(_ axis: ValueAxis, barColumns: Int) -> String {
        let bars = data.grid.starts.indices.map { heights(bar: $0, top: axis.top) }
        var text = ""
        for row in stride(from: style.height - 1, through: 0, by: -1) {
            var line = side(row: row, axis: axis)
            for bar in bars {
                let gap = barColumns >= 3 ? 1 : 0
                line += cell(bar, row: row, count: barColumns - gap) + String(repeating: " ", count: gap)
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    /// Upper edge of each series in a bar, in eighths of a row from the foot.
    private func heights(bar: Int, top: Int) -> [Int] {
        let scale = Double(style.height * 8) / Double(max(top, 1))
        var sum = 0
        return data.series.map { series in
            sum += series.counts[bar]
            guard sum > 0 else { return 0 }
            return max(1, Int((Double(sum) * scale).rounded()))
        }
    }

    /// The characters of one bar in one row.
    private func cell(_ edges: [Int], row: Int, count: Int) -> String {
        let floor = row * 8
        let shares = edges.indices.map { index in
            min(max(edges[index] - floor, 0), 8) - min(max((index > 0 ? edges[index - 1] : 0) - floor, 0), 8)
        }
        let filled = shares.reduce(0, +)
        guard filled > 0 else { return String(repeating: " ", count: count) }
        if style.colours { return coloured(shares, filled: filled, count: count) }
        let main = shares.indices.max { shares[$0] < shares[$1] } ?? 0
        if style.unicode, data.series.count == 1 {
            return String(repeating: ChartRenderer.eighths[filled], count: count)
        }
        guard filled >= 4 || row == 0 else { return String(repeating: " ", count: count) }
        return String(repeating: swatch(main), count: count)
    }

    /// A character shows two colours, below and above: the lowest series, and the largest of those over it.
    private func coloured(_ shares: [Int], filled: Int, count: Int) -> String {
        let lowest = shares.firstIndex { $0 > 0 } ?? 0
        let above = shares.indices.filter { $0 > lowest && shares[$0] > 0 }.max { shares[$0] < shares[$1] }
        guard style.unicode else { return paint(lowest, String(repeating: swatch(lowest), count: count)) }
        guard let above else {
            return paint(lowest, String(repeating: ChartRenderer.eighths[filled], count: count))
        }
        if filled < 8 {
            // The ground must stay the terminal's own: the larger part gets the whole height.
            let main = shares[above] > shares[lowest] ? above : lowest
            return paint(main, String(repeating: ChartRenderer.eighths[filled], count: count))
        }
        let text = String(repeating: ChartRenderer.eighths[shares[lowest]], count: count)
        return "\u{1b}[38;5;\(colour(lowest));48;5;\(colour(above))m\(text)\u{1b}[0m"
    }

    private func colour(_ series: Int) -> Int {
        let isOther = series == data.series.count - 1 && data.series.count > ChartData.seriesMax
        return isOther ? 245 : ChartRenderer.palette[series % ChartRenderer.palette.count]
    }

    private func paint(_ series: Int, _ text: String) -> String {
        style.colours ? "\u{1b}[38;5;\(colour(series))m\(text)\u{1b}[0m" : text
    }

    private func swatch(_ series: Int) -> String {
        guard style.unicode else { return ChartRenderer.letters[series % ChartRenderer.letters.count] }
        return style.colours ? "█" : ChartRenderer.shades[series % ChartRenderer.shades.count]
    }

    // MARK: Axes

    private func side(row: Int, axis: ValueAxis) -> String {
        let rowsPerStep = style.height / axis.steps
        let line = style.unicode ? ("┤", "│") : ("+", "|")
        guard (row + 1) % rowsPerStep == 0 else {
            return String(repeating: " ", count: ChartRenderer.axisColumns) + line.1
        }
        let value = (row + 1) / rowsPerStep * (axis.top / axis.steps)
        let label = TextLayout.padded(ValueAxis.label(value), to: ChartRenderer.axisColumns - 1, right: true)
        return label + " " + line.0
    }

    private func foot(barColumns: Int) -> String {
        let columns = data.grid.starts.count * barColumns
        let marks = style.unicode ? ("└", "─", "┴") : ("+", "-", "+")
        var line = [String](repeating: marks.1, count: columns)
        var labels = [Character](repeating: " ", count: columns + 12)
        for tick in TimeAxis.ticks(data.grid, zone: zone, barColumns: barColumns) {
            let column = tick.bar * barColumns
            guard ChartRenderer.axisColumns + 1 + column + tick.label.count <= style.width else { continue }
            line[column] = marks.2
            for (index, character) in tick.label.enumerated() { labels[column + index] = character }
        }
        var text = String(labels)
        while text.last == " " { text.removeLast() }
        let indent = String(repeating: " ", count: ChartRenderer.axisColumns + 1)
        let zero = TextLayout.padded("0", to: ChartRenderer.axisColumns - 1, right: true) + " "
        return zero + marks.0 + line.joined() + "\n" + indent + text + "\n"
    }

    // MARK: Legend

    private func legend() -> String {
        let total = max(1, data.total)
        let counts = data.series.map { TextLayout.grouped($0.total) }
        let countWidth = counts.map(\.count).max() ?? 0
        let indent = style.width < 48 ? 0 : ChartRenderer.axisColumns + 1
        let room = max(4, style.width - indent - countWidth - 14)
        let names = data.series.map { TextLayout.cut(TextLayout.harmless($0.name), to: room, unicode: style.unicode) }
        let nameWidth = names.map { TextLayout.width($0) }.max() ?? 0
        var text = ""
        for index in data.series.indices {
            let share = TextLayout.decimal(Double(data.series[index].total) * 100 / Double(total), 1) + " %"
            let mark = paint(index, String(repeating: swatch(index), count: 2))
            text += String(repeating: " ", count: indent) + mark + " "
            text += TextLayout.padded(names[index], to: nameWidth) + "  "
            text += TextLayout.padded(counts[index], to: countWidth, right: true) + "  "
            text += TextLayout.padded(share, to: 7, right: true) + "\n"
        }
        return text
    }
}
