/// `eventstore chart`: a histogram over time, drawn with characters, or its numbers.

import ArgumentParser
import EventStore
import Foundation

struct ChartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chart",
        abstract: "Draw events over time in the terminal.",
        discussion: """
            The largest series are stacked (--grouped: side by side), the rest is "other". --format json, \
            ndjson and csv give all numbers. --sql draws a query of (bucket, value) or (bucket, series, value).

            Examples:
              eventstore chart events --since -7d
              eventstore chart events --by entity --where 'status >= 500'
              eventstore chart events --type auth.attempt --by result --grouped --top 3
              eventstore chart events --bucket 1d --tz Europe/Berlin --format csv
              eventstore chart events --grouped --sql "SELECT \\
                time_bucket('6 hours', timestamp), type, quantile(duration_ms, 0.95) \\
                FROM events WHERE duration_ms IS NOT NULL GROUP BY 1, 2"
            """)

    @OptionGroup var access: StoreAccess
    @OptionGroup(title: "Filters") var filters: FilterOptions

    @Option(help: ArgumentHelp("Series: type, entity, or an attribute's name.", valueName: "name"))
    var by: String?

    @Option(
        help: ArgumentHelp(
            "Width of a bar: 30s, 15m, 1h, 1d, 1w, 1mo, 1y (default: from the time range).",
            valueName: "span"))
    var bucket: ChartBucket?

    @Flag(help: "Series side by side instead of stacked.")
    var grouped = false

    @Option(help: ArgumentHelp("So many series, 1 to 6; the rest is one more.", valueName: "n"))
    var top = ChartData.seriesMax

    @Option(
        help: ArgumentHelp("Draw the rows of this query: bucket, value or bucket, series, value.", valueName: "select"))
    var sql: String?

    @OptionGroup var parameters: SQLParameterOptions

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
        guard (1...ChartData.seriesMax).contains(top) else {
            throw ValidationError("--top takes 1 to \(ChartData.seriesMax)")
        }
        guard sql != nil else {
            if !parameters.parameters.isEmpty { throw ValidationError("--param belongs to --sql") }
            return
        }
        if !filters.isEmpty || by != nil || bucket != nil {
            throw ValidationError("--sql says itself which events, series and buckets; leave the other options out")
        }
        if json || format != .table { throw ValidationError("for the numbers of a query use eventstore sql") }
    }

    private var series: String { by ?? "type" }

    func run() throws {
        if let sql {
            try draw(sql)
            return
        }
        let filter = try filters.filter(access.time)
        let style = style
        let data = try access.open(.readOnly) { store in
            try NameHints(store: store).check(filter, by: series)
            let data = try fetch(store, filter: filter, bars: ChartRenderer.bars(width: style.width, grouped: nil))
            guard grouped, let data, !isNumbers else { return data }
            // How many bars fit depends on how many series there are.
            let bars = ChartRenderer.bars(width: style.width, grouped: data.top(top).series.count)
            return data.grid.starts.count <= bars ? data : try fetch(store, filter: filter, bars: bars)
        }
        guard let data else {
            if !quietness.quiet { Diagnostics.line("no events to draw") }
            if json || format == .json { try printEmptyArray() }
            return
        }
        let output = Output()
        if isNumbers {
            try ChartNumbers.print(data, format: json ? .json : format, output: output, times: access.time.times)
        } else {
            let drawing = ChartRenderer(data.top(top), style: style, zone: access.time.zone)
            try output.write(drawing.text(title: title(data)))
        }
        try output.flush()
        if let damage = data.damage { throw damage }
    }

    private var isNumbers: Bool { json || format != .table }

    private var style: ChartStyle {
        var style = ChartStyle(Terminal.current(), width: width, height: height)
        style.grouped = grouped
        return style
    }

    // MARK: Queries

    private func draw(_ sql: String) throws {
        let text = SQLText(sql)
        let values = try parameters.values(access.time)
        let style = style
        do {
            let drawn = try access.open(.readOnly) { store in
                try NameHints(store: store).check(text, values)
                return try rows(try store.query(text.query, parameters: values))
            }
            guard var data = drawn?.data, let name = drawn?.name else {
                if !quietness.quiet { Diagnostics.line("no rows to draw") }
                return
            }
            // Who sets series side by side has values that do not add up.
            data.addsUp = !grouped
            let shown = data.top(top)
            let bars = ChartRenderer.bars(width: style.width, grouped: grouped ? shown.series.count : nil)
            guard data.grid.starts.count <= bars else {
                throw CLIFailure.usage(
                    "--sql gives \(TextLayout.grouped(data.grid.starts.count)) buckets, \(bars) fit; take a longer "
                        + "time_bucket or a greater --width")
            }
            let title = "\(TextLayout.harmless(name)) per \(data.grid.bucket.text), \(range(data))"
            let output = Output()
            try output.write(ChartRenderer(shown, style: style, zone: access.time.zone).text(title: title))
            try output.flush()
        } catch let error as EventStoreError {
            throw text.failure(error, width: style.width, unicode: style.unicode)
        }
    }

    private func rows(_ cursor: QueryCursor) throws -> (data: ChartData, name: String)? {
        defer { cursor.close() }
        var rows = try ChartRows(columns: cursor.columns.map(\.name))
        while let batch = try cursor.nextBatch() {
            for row in 0..<batch.count { try rows.add(cursor.columns.indices.map { batch[row, $0] }) }
        }
        return try rows.data().map { ($0, rows.valueName) }
    }

    // MARK: Histograms

    /// The data of the chart; `nil` when no event matches.
    private func fetch(_ store: BlockingEventStore, filter: EventFilter, bars: Int) throws -> ChartData? {
        let stats = try store.stats()
        guard let first = stats.firstTimestamp, let last = stats.lastTimestamp else { return nil }
        let query = ChartQuery(store: store, filter: filter, by: series, zone: access.time.zone)
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
        guard !isNumbers else { return wanted }
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
        "\(TextLayout.grouped(data.total)) events per \(data.grid.bucket.text) by \(series), \(range(data))"
    }

    private func range(_ data: ChartData) -> String {
        let times = access.time.times
        func short(_ ms: Int64) -> String { String(times.rfc3339(ms).prefix(16)).replacing("T", with: " ") }
        return "\(short(data.grid.range.lowerBound)) to \(short(data.grid.range.upperBound)) \(access.time.tz)"
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
