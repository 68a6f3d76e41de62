/// A schema in the four formats: a table a type, an array of types (json), a type a line (ndjson), or a row an
/// attribute (csv).

import EventStore

package enum SchemaPrinter {
    package static func print(
        _ schema: StoreSchema, format: RowFormat, output: Output, times: TimeText, terminal: Terminal
    ) throws {
        switch format {
        case .table: try output.write(text(schema, times: times, terminal: terminal))
        case .ndjson: for type in schema.types { try output.write(object(type).text + "\n") }
        case .json:
            let lines = schema.types.map { "\n" + object($0).text }.joined(separator: ",")
            try output.write("[" + lines + (lines.isEmpty ? "]\n" : "\n]\n"))
        case .csv: try printCSV(schema, output: output, times: times)
        }
    }

    // MARK: JSON

    static func object(_ type: TypeSchema) -> JSONValue {
        .object([
            ("type", .string(type.type)), ("events", .int(type.events)), ("entities", .int(type.entities)),
            ("first", .integer(type.firstTimestamp)), ("last", .integer(type.lastTimestamp)),
            ("attributes", .array(type.attributes.map { object($0) })),
        ])
    }

    private static func object(_ attribute: AttributeSchema) -> JSONValue {
        let samples = attribute.samples.map { sample in
            JSONValue.object([("value", json(sample.value)), ("count", .int(sample.count))])
        }
        return .object([
            ("name", .string(attribute.name)), ("events", .int(attribute.events)),
            ("fill", .double(rounded(attribute.fillRate))),
            ("kinds", .object(attribute.kinds.map { ($0.kind, .int($0.count)) })),
            ("mixed", .bool(attribute.isMixed)), ("distinct", .int(attribute.distinct)),
            ("distinctExact", .bool(attribute.distinctIsExact)),
            ("min", attribute.minimum.map { json($0) } ?? .null), ("max", attribute.maximum.map { json($0) } ?? .null),
            ("samples", .array(samples)),
        ])
    }

    /// Arrays that were cut are no JSON any more: arrays come as text.
    private static func json(_ value: AttributeValue) -> JSONValue {
        switch value {
        case .string(let text), .json(let text): .string(text)
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .bool(let flag): .bool(flag)
        }
    }

    private static func rounded(_ share: Double) -> Double { (share * 10_000).rounded() / 10_000 }

    // MARK: CSV

    private static let csvColumns = [
        "type", "events", "entities", "first", "last", "attribute", "attribute_events", "fill", "kind", "mixed",
        "distinct", "distinct_exact", "min", "max", "samples",
    ]

    private static func printCSV(_ schema: StoreSchema, output: Output, times: TimeText) throws {
        let writer = try RowWriter(
            columns: csvColumns, format: .csv, output: output, times: times, terminal: Terminal())
        for type in schema.types {
            let head: [Cell] = [
                .text(type.type), .integer(Int64(type.events)), .integer(Int64(type.entities)),
                .time(type.firstTimestamp), .time(type.lastTimestamp),
            ]
            if type.attributes.isEmpty {
                try writer.write(head + [Cell](repeating: .absent, count: csvColumns.count - head.count))
            }
            for attribute in type.attributes { try writer.write(head + cells(attribute)) }
        }
        try writer.finish()
    }

    private static func cells(_ attribute: AttributeSchema) -> [Cell] {
        [
            .text(attribute.name), .integer(Int64(attribute.events)), .double(rounded(attribute.fillRate)),
            .text(attribute.kinds.map(\.kind).joined(separator: " ")), .bool(attribute.isMixed),
            .integer(Int64(attribute.distinct)), .bool(attribute.distinctIsExact),
            attribute.minimum.map(Cell.init) ?? .absent, attribute.maximum.map(Cell.init) ?? .absent,
            .json(JSONValue.array(attribute.samples.map { json($0.value) }).text),
        ]
    }

    // MARK: For people

    package static func text(_ schema: StoreSchema, times: TimeText, terminal: Terminal) -> String {
        schema.types.map { section($0, times: times, terminal: terminal) }.joined(separator: "\n")
    }

    private static func section(_ type: TypeSchema, times: TimeText, terminal: Terminal) -> String {
        func short(_ ms: Int64) -> String { String(times.rfc3339(ms).prefix(19)).replacing("T", with: " ") }
        let entities = type.entities == 1 ? "1 entity" : "\(TextLayout.grouped(type.entities)) entities"
        let events = type.events == 1 ? "1 event" : "\(TextLayout.grouped(type.events)) events"
        let span = "\(short(type.firstTimestamp)) to \(short(type.lastTimestamp)) \(times.zoneName)"
        let head = terminal.bold(TextLayout.harmless(type.type)) + terminal.faint("  \(events) of \(entities), \(span)")
        guard !type.attributes.isEmpty else { return head + "\n" }
        var table = TableLayout(
            columns: ["attribute", "kind", "filled", "distinct", "least", "greatest", "most frequent"],
            terminal: terminal)
        var text = head + "\n"
        for attribute in type.attributes { text += table.add(row(attribute, terminal: terminal)) ?? "" }
        return text + table.finish()
    }

    private static func row(_ attribute: AttributeSchema, terminal: Terminal) -> [TableCell] {
        let distinct = attribute.distinctIsExact ? attribute.distinct : threeDigits(attribute.distinct)
        return [
            TableCell(text: TextLayout.harmless(attribute.name)), TableCell(text: kinds(attribute)),
            TableCell(text: percent(attribute.fillRate), right: true),
            TableCell(text: (attribute.distinctIsExact ? "" : "~") + TextLayout.grouped(distinct), right: true),
            number(attribute.minimum), number(attribute.maximum),
            TableCell(text: samples(attribute, unicode: terminal.unicode)),
        ]
    }

    /// `integer`, or with shares when mixed: `! integer 98 %, string 2 %`.
    private static func kinds(_ attribute: AttributeSchema) -> String {
        guard attribute.isMixed else { return attribute.kinds.first?.kind ?? "" }
        let shares = attribute.kinds.map {
            "\($0.kind) \(percent(Double($0.count) / Double(max(1, attribute.events))))"
        }
        return "! " + shares.joined(separator: ", ")
    }

    private static func number(_ value: AttributeValue?) -> TableCell {
        switch value {
        case .integer(let number): TableCell(text: String(number), right: true)
        case .double(let number): TableCell(text: "\(number)", right: true)
        default: TableCell(text: "", right: true)
        }
    }

    private static let sampleColumns = 24

    /// Values, those of one percent and more with their share.
    private static func samples(_ attribute: AttributeSchema, unicode: Bool) -> String {
        attribute.samples.map { sample in
            let text = TextLayout.cut(shown(sample.value), to: sampleColumns, unicode: unicode)
            let share = Double(sample.count) / Double(max(1, attribute.events))
            return share >= 0.01 ? text + " " + percent(share) : text
        }.joined(separator: ", ")
    }

    private static func shown(_ value: AttributeValue) -> String {
        switch value {
        case .string(let text): text.isEmpty ? "\"\"" : TextLayout.harmless(text)
        case .json(let text): TextLayout.harmless(text)
        case .integer(let number): String(number)
        case .double(let number): "\(number)"
        case .bool(let flag): flag ? "true" : "false"
        }
    }

    /// Whole percents; what is not quite all or nothing never looks as if it were.
    package static func percent(_ share: Double) -> String {
        if share <= 0 { return "0 %" }
        if share >= 1 { return "100 %" }
        if share < 0.01 { return "<1 %" }
        if share > 0.99 { return ">99 %" }
        return "\(Int((share * 100).rounded())) %"
    }

    private static func threeDigits(_ number: Int) -> Int {
        var scale = 1
        while number / scale >= 1000 { scale *= 10 }
        return (number + scale / 2) / scale * scale
    }
}
