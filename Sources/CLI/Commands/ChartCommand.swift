/// `eventstore chart`: a histogram over time, drawn with characters, or its numbers.

import ArgumentParser
import EventStore
import Foundation

struct ChartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chart",
        abstract: "Draw events over time in the terminal.",
        discussion: """
            The six largest series are stacked, the rest is "other". --format json, ndjson and csv give all \
            numbers.

            Examples:
              eventstore chart events --since -7d
              eventstore chart events --by entity --where 'status >= 500'
              eventstore chart events --bucket 1d --tz Europe/Berlin --format csv
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Filters") var filters: FilterOptions

    @Option(help: ArgumentHelp("Series: type, entity, or an attribute's name.", valueName: "name"))
    var by = "type"

    @Option(
        help: ArgumentHelp(
            "Width of a bar: 30s, 15m, 1h, 1d, 1w, 1mo, 1y (default: from the time range).",
            valueName: "span"))
    var bucket: ChartBucket?

    @Option(help: ArgumentHelp("Columns to draw in (default: the terminal's, else 80).", valueName: "columns"))
    var width: Int?

    @Option(help: ArgumentHelp("Rows of the plot.", valueName: "rows"))
    var height = 12

    @Option(help: ArgumentHelp("table is the drawing; json, ndjson and csv give the numbers.", valueName: "format"))
    var format: RowFormat = .table

    @Flag(help: "Short for --format json.")
    var json = false

    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if let width, !(30...1000).contains(width) { throw ValidationError("--width takes 30 to 1000") }
        guard (2...200).contains(height) else { throw ValidationError("--height takes 2 to 200") }
    }

    func run() throws {
        let filter = try filters.filter(access.time)
        let style = ChartStyle(Terminal.current(), width: width, height: height)
        let data = try access.open(.readOnly) { store in
            try NameHints(store: store).check(filter, by: by)
            return try fetch(store, filter: filter, bars: ChartRenderer.plotColumns(width: style.width))
        }
        guard let data else {
            if !quietness.quiet { Diagnostics.line("no events to draw") }
            if json || format == .json { try printEmptyArray() }
            return
        }
        let output = Output()
        if json || format != .table {
            try ChartNumbers.print(data, format: json ? .json : format, output: output, times: access.time.times)
        } else {
            try output.write(ChartRenderer(data.top(), style: style, zone: access.time.zone).text(title: title(data)))
        }
        try output.flush()
        if let damage = data.damage { throw damage }
    }

    /// The data of the chart; `nil` when no event matches.
    private func fetch(_ store: BlockingEventStore, filter: EventFilter, bars: Int) throws -> ChartData? {
        let stats = try store.stats()
        guard let first = stats.firstTimestamp, let last = stats.lastTimestamp else { return nil }
        let query = ChartQuery(store: store, filter: filter, by: by, zone: access.time.zone)
        let lower = filter.since ?? first
        let upper = filter.until ?? max(last + 1, lower + 1)
        guard lower < upper else { return nil }
        let range = lower..<upper
        let chosen = bucket ?? ChartBucket.fitting(range, bars: bars)
        let data = try query.data(range: range, bucket: drawable(chosen, range: range, bars: bars))
        guard let occupied = data.occupied else { return nil }
        // What the caller left open is narrowed to where the events are.
        let narrow =
            (filter.since ?? max(lower, occupied.lowerBound))..<(filter.until ?? min(upper, occupied.upperBound))
        guard (narrow.upperBound - narrow.lowerBound) * 2 < upper - lower else { return data }
        let finer = bucket ?? ChartBucket.fitting(narrow, bars: bars)
        return try query.data(range: narrow, bucket: drawable(finer, range: narrow, bars: bars))
    }

    /// A width that can be drawn: bars that do not fit side by side are widened, and that is said.
    private func drawable(_ wanted: ChartBucket, range: Range<Int64>, bars: Int) -> ChartBucket {
        guard format == .table, !json else { return wanted }
        let count = (range.upperBound - range.lowerBound) / wanted.approximateMs
        guard count > Int64(bars) else { return wanted }
        let fitting = ChartBucket.fitting(range, bars: bars)
        if !quietness.quiet {
            Diagnostics.line(
                "\(TextLayout.grouped(Int(count))) bars of \(wanted.text) do not fit: drawn with \(fitting.text) instead; "
                    + "narrow the time range, or take the numbers with --format csv")
        }
        return fitting
    }

    private func title(_ data: ChartData) -> String {
        let times = access.time.times
        func short(_ ms: Int64) -> String { String(times.rfc3339(ms).prefix(16)).replacing("T", with: " ") }
        let range = "\(short(data.grid.range.lowerBound)) to \(short(data.grid.range.upperBound))"
        return
            "\(TextLayout.grouped(data.total)) events per \(data.grid.bucket.text) by \(by), \(range) \(access.time.tz)"
    }

    private func printEmptyArray() throws {
        let output = Output()
        try output.write("{\"bucket\":null,\"starts\":[],\"series\":[]}\n")
        try output.flush()
    }
}

/// The numbers of a chart: json is one object; ndjson and csv have a row per bar and series with events.
package enum ChartNumbers {
    package static func print(_ data: ChartData, format: RowFormat, output: Output, times: TimeText) throws {
        guard format != .json else {
            try output.write(object(data).text + "\n")
            return
        }
        let writer = try RowWriter(
            columns: ["timestamp", "series", "events"], format: format, output: output, times: times,
            terminal: Terminal())
        for (bar, start) in data.grid.starts.enumerated() {
            for series in data.series where series.counts[bar] > 0 {
                try writer.write([.time(start), .text(series.name), .integer(Int64(series.counts[bar]))])
            }
        }
        try writer.finish()
    }

    package static func object(_ data: ChartData) -> JSONValue {
        let series = data.series.map { one in
            JSONValue.object([
                ("name", .string(one.name)), ("total", .int(one.total)),
                ("counts", .array(one.counts.map { .int($0) })),
            ])
        }
        return .object([
            ("bucket", .string(data.grid.bucket.text)), ("starts", .array(data.grid.starts.map { .integer($0) })),
            ("end", .integer(data.grid.end)), ("series", .array(series)),
        ])
    }
}
