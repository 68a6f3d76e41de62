/// Draws a chart with characters: bars stacked or side by side, axes, a legend with totals and peaks.
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
    /// Series side by side, each from the foot, instead of one upon the other.
    package var grouped: Bool

    package init(
        width: Int = 80, height: Int = 12, colours: Bool = false, unicode: Bool = true, grouped: Bool = false
    ) {
        self.width = width
        self.height = height
        self.colours = colours
        self.unicode = unicode
        self.grouped = grouped
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

    /// Bars that fit: a group of so many series takes a column each and one between groups; `nil` is stacked.
    package static func bars(width: Int, grouped: Int?) -> Int {
        let columns = grouped.map { $0 > 1 ? $0 + 1 : 1 } ?? 1
        return max(2, plotColumns(width: width) / columns)
    }

    package func text(title: String) -> String {
        let most = style.grouped ? data.series.flatMap(\.counts).max() : data.sums.max()
        let axis = ValueAxis(max: most ?? 0, rows: style.height)
        let layout = BarLayout(
            bars: data.grid.starts.count, parts: style.grouped ? data.series.count : 1,
            columns: ChartRenderer.plotColumns(width: style.width))
        return TextLayout.cut(title, to: style.width, unicode: style.unicode) + "\n"
            + plot(axis, layout) + foot(barColumns: layout.barColumns) + "\n" + legend()
    }

    /// Columns of a bar: `parts` of the same width, and what separates it from the next.
    private struct BarLayout {
        let parts: Int
        let partColumns: Int
        let gap: Int
        var barColumns: Int { parts * partColumns + gap }

        init(bars: Int, parts: Int, columns: Int) {
            self.parts = max(1, parts)
            let room = max(1, columns / max(1, bars))
            if self.parts == 1 {
                let bar = min(12, room)
                gap = bar >= 3 ? 1 : 0
                partColumns = bar - gap
            } else {
                gap = room > self.parts ? 1 : 0
                partColumns = max(1, min(4, (room - gap) / self.parts))
            }
        }
    }

    // MARK: Bars

    private func plot(_ axis: ValueAxis, _ layout: BarLayout) -> String {
        let bars = data.grid.starts.indices.map { parts(bar: $0, top: axis.top) }
        var text = ""
        for row in stride(from: style.height - 1, through: 0, by: -1) {
            let blank = isTick(row, axis) && style.colours && style.unicode ? "┈" : " "
            var line = side(row: row, axis: axis)
            var blanks = ""
            for bar in bars {
                for edges in bar {
                    if let filled = cell(edges, row: row, count: layout.partColumns) {
                        line += gridLine(blanks) + filled
                        blanks = ""
                    } else {
                        blanks += String(repeating: blank, count: layout.partColumns)
                    }
                }
                blanks += String(repeating: blank, count: layout.gap)
            }
            line += gridLine(blanks)
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }

    /// Faint lines at the values of the axis, where colours make them faint.
    private func gridLine(_ blanks: String) -> String {
        blanks.contains("┈") ? "\u{1b}[38;5;238m\(blanks)\u{1b}[0m" : blanks
    }

    /// What stands side by side in a bar, each as upper edges of the series.
    private func parts(bar: Int, top: Int) -> [[Int]] {
        guard style.grouped else { return [heights(bar: bar, top: top)] }
        let scale = Double(style.height * 8) / Double(max(top, 1))
        return data.series.indices.map { series in
            let count = data.series[series].counts[bar]
            let height = count > 0 ? max(1, Int((Double(count) * scale).rounded())) : 0
            return data.series.indices.map { $0 < series ? 0 : height }
        }
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

    /// The characters of one bar in one row; `nil` where it is empty.
    private func cell(_ edges: [Int], row: Int, count: Int) -> String? {
        let floor = row * 8
        let shares = edges.indices.map { index in
            min(max(edges[index] - floor, 0), 8) - min(max((index > 0 ? edges[index - 1] : 0) - floor, 0), 8)
        }
        let filled = shares.reduce(0, +)
        guard filled > 0 else { return nil }
        if style.colours { return coloured(shares, filled: filled, count: count) }
        let main = shares.indices.max { shares[$0] < shares[$1] } ?? 0
        if style.unicode, data.series.count == 1 {
            return String(repeating: ChartRenderer.eighths[filled], count: count)
        }
        guard filled >= 4 || row == 0 else { return nil }
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
        let isOther = data.hasOther && series == data.series.count - 1
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

    private func isTick(_ row: Int, _ axis: ValueAxis) -> Bool { (row + 1) % (style.height / axis.steps) == 0 }

    private func side(row: Int, axis: ValueAxis) -> String {
        let line = style.unicode ? ("┤", "│") : ("+", "|")
        guard isTick(row, axis) else { return String(repeating: " ", count: ChartRenderer.axisColumns) + line.1 }
        let value = (row + 1) / (style.height / axis.steps) * (axis.top / axis.steps)
        let text = ValueAxis.label(value, scale: data.scale)
        let label = TextLayout.padded(text, to: ChartRenderer.axisColumns - 1, right: true)
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

    /// Below this width a series has its total and share only.
    private static let peakColumnsMin = 64

    private func legend() -> String {
        let amounts = amounts()
        let peaks = peaks()
        let amountWidth = amounts.map { TextLayout.width($0) }.max() ?? 0
        let peakWidth = peaks.map { TextLayout.width($0) + 2 }.max() ?? 0
        let indent = style.width < 48 ? 0 : ChartRenderer.axisColumns + 1
        let room = max(4, style.width - indent - 5 - amountWidth - peakWidth)
        let names = data.series.map { TextLayout.cut(TextLayout.harmless($0.name), to: room, unicode: style.unicode) }
        let nameWidth = names.map { TextLayout.width($0) }.max() ?? 0
        var text = ""
        for index in data.series.indices {
            let mark = paint(index, String(repeating: swatch(index), count: 2))
            text += String(repeating: " ", count: indent) + mark + " "
            text += TextLayout.padded(names[index], to: nameWidth)
            text += amounts.isEmpty ? "" : "  " + amounts[index]
            text += (peaks.isEmpty ? "" : "  " + peaks[index]) + "\n"
        }
        return text
    }

    /// Total and share of each series; empty for values that do not add up.
    private func amounts() -> [String] {
        guard data.addsUp else { return [] }
        let counts = data.series.map { amount($0.total) }
        let width = counts.map(\.count).max() ?? 0
        return zip(data.series, counts).map { series, count in
            let share = TextLayout.decimal(Double(series.total) * 100 / Double(max(1, data.total)), 1) + " %"
            return TextLayout.padded(count, to: width, right: true) + "  "
                + TextLayout.padded(share, to: 7, right: true)
        }
    }

    /// A total or a peak in words.
    private func amount(_ count: Int) -> String {
        data.scale == 1 ? TextLayout.grouped(count) : ValueAxis.label(count, scale: data.scale)
    }

    /// The highest bar of each series and when it was; empty when there is no room for it.
    private func peaks() -> [String] {
        guard style.width >= ChartRenderer.peakColumnsMin || !data.addsUp, data.grid.starts.count > 1 else { return [] }
        let highest = data.series.map { series in
            series.counts.indices.max { (series.counts[$0], $1) < (series.counts[$1], $0) } ?? 0
        }
        let counts = zip(data.series, highest).map { amount($0.counts[$1]) }
        let width = counts.map(\.count).max() ?? 0
        return zip(counts, highest).map { count, bar in
            "peak " + TextLayout.padded(count, to: width, right: true) + "  "
                + TimeAxis.label(data.grid.starts[bar], bucket: data.grid.bucket, zone: zone)
        }
    }
}
