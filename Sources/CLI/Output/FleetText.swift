/// Entities as a fleet view: a table with relative times for people, all fields as they are for programs.

import EventStore

package enum FleetText {
    static let tableColumns = [
        "entity", "state", "plan", "days", "events", "24 h", "last event", "last arrival", "refused", "skew", "size",
        "days left",
    ]

    package static func print(
        _ entities: [EntityInfo], format: RowFormat, output: Output, time: (times: TimeText, nowMs: Int64),
        terminal: Terminal
    ) throws {
        switch format {
        case .table:
            var table = TableLayout(columns: tableColumns, terminal: terminal, recordsWhenNarrow: true)
            for entity in entities {
                if let text = table.add(cells(entity, nowMs: time.nowMs)) { try output.write(text) }
            }
            try output.write(table.finish())
        case .csv:
            let writer = try RowWriter(
                columns: columns, format: .csv, output: output, times: time.times, terminal: terminal)
            for entity in entities { try writer.write(row(entity).map(\.1)) }
            try writer.finish()
        case .json, .ndjson:
            try ObjectList.print(entities.map { FleetText.object($0) }, format: format, output: output)
        }
    }

    /// Every field, under the name it has in json and csv.
    private static func row(_ entity: EntityInfo) -> [(String, Cell)] {
        func count(_ value: Int?) -> Cell { value.map { .integer(Int64($0)) } ?? .absent }
        func time(_ value: Int64?) -> Cell { value.map { .time($0) } ?? .absent }
        return [
            ("name", .text(entity.name)), ("number", .integer(Int64(entity.number))),
            ("state", .text(entity.state.rawValue)), ("plan", .text(entity.plan)), ("days", count(entity.days)),
            ("events", count(entity.events)), ("eventsInLastDay", count(entity.eventsInLastDay)),
            ("lastEvent", time(entity.lastEventMs)), ("lastArrival", time(entity.lastReceivedMs)),
            ("refused", count(entity.refused)), ("expired", count(entity.expired)),
            ("clockSkewMs", entity.clockSkewMs.map { .integer($0) } ?? .absent), ("bytes", count(entity.bytes)),
            ("daysLeft", count(entity.daysLeft)), ("created", time(entity.createdMs)),
            ("eraseAt", time(entity.eraseAtMs)),
        ]
    }

    private static let columns = [
        "name", "number", "state", "plan", "days", "events", "eventsInLastDay", "lastEvent", "lastArrival", "refused",
        "expired", "clockSkewMs", "bytes", "daysLeft", "created", "eraseAt",
    ]

    /// All fields; what is not there is null.
    package static func object(_ entity: EntityInfo) -> JSONValue {
        .object(row(entity).map { ($0.0, JSONValue($0.1) ?? .null) })
    }

    private static func cells(_ entity: EntityInfo, nowMs: Int64) -> [TableCell] {
        func number(_ text: String) -> TableCell { TableCell(text: text, right: true) }
        func ago(_ ms: Int64?) -> TableCell { number(ms.map { RelativeTime.text($0, nowMs: nowMs) } ?? "") }
        return [
            TableCell(text: TextLayout.harmless(entity.name)), TableCell(text: entity.state.rawValue),
            TableCell(text: TextLayout.harmless(entity.plan)), number(entity.days.map { "\($0)" } ?? "forever"),
            number(TextLayout.grouped(entity.events)), number(TextLayout.grouped(entity.eventsInLastDay)),
            ago(entity.lastEventMs), ago(entity.lastReceivedMs), number(TextLayout.grouped(entity.refused)),
            number(entity.clockSkewMs.map { RelativeTime.span($0) } ?? ""), number(TextLayout.bytes(entity.bytes)),
            number(left(entity, nowMs: nowMs)),
        ]
    }

    /// Days until its oldest event goes, or until all of it does.
    private static func left(_ entity: EntityInfo, nowMs: Int64) -> String {
        let erasure = entity.eraseAtMs.map { "erased " + RelativeTime.text($0, nowMs: nowMs) }
        return erasure ?? entity.daysLeft.map { "\($0)" } ?? ""
    }

    package static func fields(_ entity: EntityInfo, times: TimeText, nowMs: Int64) -> [ReportField] {
        func time(_ key: String, _ ms: Int64?, _ label: String) -> ReportField {
            let shown = ms.map { "\(times.rfc3339($0)) (\(RelativeTime.text($0, nowMs: nowMs)))" }
            return ReportField(key, .time(ms), label: label, shown: shown)
        }
        func count(_ key: String, _ value: Int?, _ label: String, none: String?) -> ReportField {
            ReportField(key, .int(value), label: label, shown: value.map { TextLayout.grouped($0) } ?? none)
        }
        func text(_ key: String, _ value: String, _ label: String) -> ReportField {
            ReportField(key, .string(value), label: label, shown: TextLayout.harmless(value))
        }
        return [
            text("name", entity.name, "entity"), count("number", Int(entity.number), "number", none: nil),
            text("state", entity.state.rawValue, "state"), text("plan", entity.plan, "plan"),
            count("days", entity.days, "days kept", none: "forever"),
            ReportField("events", count: entity.events, label: "events"),
            ReportField("eventsInLastDay", count: entity.eventsInLastDay, label: "  in the last 24 h"),
            time("lastEvent", entity.lastEventMs, "last event"),
            time("lastArrival", entity.lastReceivedMs, "last arrival"),
            ReportField("refused", count: entity.refused, label: "refused"),
            ReportField("expired", count: entity.expired, label: "came too late"),
            ReportField(
                "clockSkewMs", .time(entity.clockSkewMs), label: "clock skew",
                shown: entity.clockSkewMs.map { RelativeTime.span($0) }),
            ReportField("bytes", bytes: entity.bytes, label: "size"),
            count("daysLeft", entity.daysLeft, "days left of the oldest", none: nil),
            time("created", entity.createdMs, "added"), time("eraseAt", entity.eraseAtMs, "erased at the latest"),
        ]
    }
}

/// Objects one after another: an array, or a line each.
package enum ObjectList {
    package static func print(_ objects: [JSONValue], format: RowFormat, output: Output) throws {
        guard format == .json else {
            for object in objects { try output.write(object.text + "\n") }
            return
        }
        try output.write("[")
        for (index, object) in objects.enumerated() { try output.write((index == 0 ? "\n" : ",\n") + object.text) }
        try output.write(objects.isEmpty ? "]\n" : "\n]\n")
    }
}
