/// `eventstore stats`: sizes and totals, also for Prometheus.

import ArgumentParser
import EventStore

struct StatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Print sizes and totals.",
        discussion: """
            Examples:
              eventstore stats events
              eventstore stats events --format prometheus > eventstore.prom
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, ndjson, csv, prometheus
    }

    @OptionGroup var access: StoreAccess

    @Option(
        help: ArgumentHelp(
            "table, json, ndjson, csv or prometheus (default: table on a terminal, else ndjson).",
            valueName: "format"))
    var format: Format?

    @Flag(help: "Short for --format json.")
    var json = false

    @OptionGroup var quietness: QuietOptions

    func validate() throws {
        if json, let format, format != .json {
            throw ValidationError("--json and --format \(format) exclude each other")
        }
    }

    func run() throws {
        let stats = try access.open(.readOnly) { try $0.stats() }
        let terminal = Terminal.current()
        let output = Output()
        let chosen = json ? .json : format ?? Format(rawValue: RowFormat.standard(on: terminal).rawValue) ?? .ndjson
        if chosen == .prometheus {
            try output.write(StatsText.prometheus(stats))
        } else {
            let fields = StatsText.fields(stats, times: access.time.times)
            try ObjectPrinter.print(
                fields, format: RowFormat(rawValue: chosen.rawValue) ?? .json, output: output, terminal: terminal)
        }
        if chosen == .table { try output.write(StatsText.extra(stats, terminal: terminal)) }
        try output.flush()
    }
}

/// Statistics in words, JSON and the Prometheus text format.
package enum StatsText {
    package static func fields(_ stats: StoreStats, times: TimeText) -> [ReportField] {
        func round2(_ value: Double) -> JSONValue { .double((value * 100).rounded() / 100) }
        func counts(_ rows: [CountRow]) -> JSONValue { .object(rows.map { ($0.key, .int($0.count)) }) }
        return [
            ReportField("events", count: stats.events, label: "events"),
            ReportField("bytes", bytes: stats.bytes, label: "size on disk"),
            ReportField(
                "bytesPerEvent", round2(stats.bytesPerEvent), label: "bytes an event",
                shown: TextLayout.decimal(stats.bytesPerEvent, 1)),
            ReportField("segmentBytes", bytes: stats.segmentBytes, label: "  in segments"),
            ReportField("catalogBytes", bytes: stats.catalogBytes, label: "  in the catalog"),
            ReportField("reservedBytes", bytes: stats.reservedBytes, label: "  set aside for a full disk"),
            ReportField("entities", count: stats.entities, label: "entities"),
            ReportField("types", count: stats.types, label: "types"),
            ReportField("attributes", count: stats.attributes, label: "attributes"),
            ReportField("segments", count: stats.segments, label: "segments"),
            ReportField("partitions", count: stats.partitions, label: "partitions"),
            ReportField(
                "partition", .string(stats.partition.rawValue), label: "partitioned by",
                shown: stats.partition.rawValue),
            ReportField("unflushedEvents", count: stats.unflushedEvents, label: "not yet in segments"),
            ReportField(
                "rowsPerBlock", round2(stats.rowsPerBlock), label: "rows a block",
                shown: TextLayout.decimal(stats.rowsPerBlock, 1)),
            ReportField("firstTimestamp", time: stats.firstTimestamp, label: "first event", times: times),
            ReportField("lastTimestamp", time: stats.lastTimestamp, label: "last event", times: times),
            ReportField(
                "nextSequence", .integer(Int64(clamping: stats.nextSequence)), label: "next sequence",
                shown: TextLayout.grouped(Int(clamping: stats.nextSequence))),
            ReportField("eventsByType", counts(stats.eventsByType), label: "", shown: nil),
            ReportField(
                "refusedByReason",
                .object(stats.refusedByReason.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) }),
                label: "", shown: nil),
            ReportField("stripped", count: stats.stripped, label: "values left out"),
            ReportField(
                "strippedByReason",
                .object(stats.strippedByReason.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) }),
                label: "", shown: nil),
            ReportField("entitiesByPlan", counts(stats.entitiesByPlan), label: "", shown: nil),
            ReportField("holes", count: stats.holes, label: "damaged files"),
            ReportField("advice", .array(stats.advice.map { .string($0) }), label: "", shown: nil),
        ] + (stats.export.map { [export($0, times: times)] } ?? [])
    }

    /// What a store that is an export says of itself.
    private static func export(_ info: ExportInfo, times: TimeText) -> ReportField {
        func texts(_ list: [String]) -> JSONValue { .array(list.map { .string($0) }) }
        let filter = info.filter
        let shown = times.rfc3339(info.createdMs) + (info.expiresMs.map { ", until " + times.rfc3339($0) } ?? "")
        return ReportField(
            "export",
            .object([
                ("source", .string(info.source)), ("created", .integer(info.createdMs)),
                ("fromSequence", info.fromSequence.map { .integer(Int64(clamping: $0)) } ?? .null),
                ("nextSequence", .integer(Int64(clamping: info.nextSequence))), ("events", .int(info.events)),
                ("expires", info.expiresMs.map { .integer($0) } ?? .null), ("entities", texts(filter.entities)),
                ("types", texts(filter.types)), ("since", filter.since.map { .integer($0) } ?? .null),
                ("until", filter.until.map { .integer($0) } ?? .null), ("conditions", texts(filter.conditions)),
            ]), label: "export, cut at", shown: shown)
    }

    /// What people see below the totals: types, refusals, advice.
    package static func extra(_ stats: StoreStats, terminal: Terminal) -> String {
        var text = ""
        if !stats.eventsByType.isEmpty { text += "\n" + counts(stats.eventsByType, name: "type", terminal: terminal) }
        if !stats.refusedByReason.isEmpty {
            let rows = stats.refusedByReason.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { CountRow(key: $0.key, count: $0.value) }
            text += "\n" + counts(rows, name: "refused because", terminal: terminal)
        }
        if !stats.strippedByReason.isEmpty {
            let rows = stats.strippedByReason.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { CountRow(key: $0.key, count: $0.value) }
            text += "\n" + counts(rows, name: "left out because", unit: "values", terminal: terminal)
        }
        for advice in stats.advice { text += "\nadvice: \(advice)\n" }
        return text
    }

    /// Counts with their share, as a table.
    package static func counts(
        _ rows: [CountRow], name: String, unit: String = "events", terminal: Terminal
    ) -> String {
        var table = TableLayout(columns: [name, unit, "share"], terminal: terminal)
        let total = max(1, rows.reduce(0) { $0 + $1.count })
        var text = ""
        for row in rows {
            let share = TextLayout.decimal(Double(row.count) * 100 / Double(total), 1) + " %"
            text +=
                table.add([
                    TableCell(text: TextLayout.harmless(row.key)),
                    TableCell(text: TextLayout.grouped(row.count), right: true), TableCell(text: share, right: true),
                ]) ?? ""
        }
        return text + table.finish()
    }

    /// The text exposition format, version 0.0.4.
    package static func prometheus(_ stats: StoreStats) -> String {
        var text = ""
        func metric(_ name: String, _ help: String, _ values: [(labels: String, value: String)]) {
            guard !values.isEmpty else { return }
            text += "# HELP eventstore_\(name) \(help)\n# TYPE eventstore_\(name) gauge\n"
            for value in values { text += "eventstore_\(name)\(value.labels) \(value.value)\n" }
        }
        func gauge(_ name: String, _ help: String, _ value: Int) { metric(name, help, [("", String(value))]) }
        func time(_ name: String, _ help: String, _ ms: Int64?) {
            metric(name, help, ms.map { [("", TextLayout.decimal(Double($0) / 1000, 3))] } ?? [])
        }
        gauge("events", "Events stored.", stats.events)
        gauge("bytes", "Bytes of all files of the store.", stats.bytes)
        gauge("segment_bytes", "Bytes of segment files.", stats.segmentBytes)
        gauge("catalog_bytes", "Bytes of the catalog.", stats.catalogBytes)
        gauge("reserved_bytes", "Bytes set aside for a full disk.", stats.reservedBytes)
        gauge("entities", "Entities known.", stats.entities)
        gauge("types", "Event types known.", stats.types)
        gauge("attributes", "Attribute names known.", stats.attributes)
        gauge("segments", "Segment files.", stats.segments)
        gauge("partitions", "Time partitions.", stats.partitions)
        gauge("unflushed_events", "Events in the journal and not yet in a segment.", stats.unflushedEvents)
        metric("next_sequence", "Sequence the next event will get.", [("", String(stats.nextSequence))])
        time("first_event_timestamp_seconds", "Time of the oldest event.", stats.firstTimestamp)
        time("last_event_timestamp_seconds", "Time of the newest event.", stats.lastTimestamp)
        metric("events_by_type", "Events stored, by type.", stats.eventsByType.map { label("type", $0.key, $0.count) })
        let refused = stats.refusedByReason.sorted { $0.key < $1.key }
        metric("refused", "Events refused, by reason.", refused.map { label("reason", $0.key, $0.value) })
        gauge("stripped", "Values left out.", stats.stripped)
        let stripped = stats.strippedByReason.sorted { $0.key < $1.key }
        metric(
            "stripped_by_reason", "Values left out, by reason.", stripped.map { label("reason", $0.key, $0.value) })
        metric("entities_by_plan", "Entities, by plan.", stats.entitiesByPlan.map { label("plan", $0.key, $0.count) })
        gauge("holes", "Segment files missing or cut.", stats.holes)
        return text
    }

    private static func label(_ name: String, _ text: String, _ value: Int) -> (labels: String, value: String) {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return ("{\(name)=\"\(escaped)\"}", String(value))
    }
}
