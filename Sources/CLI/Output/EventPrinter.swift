/// Events in the four formats. NDJSON goes from columns to bytes without a value per event.
///
/// csv needs its columns before its first row: a short result is read whole; for a long one a second cursor,
/// opened after the first and so never poorer, is read for names alone.

import EventStore

struct EventPrinter {
    static let fields = ["entity", "type", "timestamp", "id", "sequence", "received"]
    private static let csvBufferedRows = 10_000

    let format: RowFormat
    let output: Output
    let times: TimeText
    let terminal: Terminal

    /// Prints a filter's events; returns how many.
    func print(
        _ store: BlockingEventStore, filter: EventFilter, order: EventOrder, limit: Int?
    ) throws -> Int {
        // A read that meets damage gives all that is readable before it throws: that is printed too.
        defer { try? output.flush() }
        switch format {
        case .ndjson: return try printLines(try store.cursor(filter, order: order, limit: limit))
        case .json: return try printArray(try store.cursor(filter, order: order, limit: limit))
        case .table: return try printTable(try store.cursor(filter, order: order, limit: limit))
        case .csv: return try printCSV(store, filter: filter, order: order, limit: limit)
        }
    }

    private func printLines(_ cursor: EventCursor) throws -> Int {
        var count = 0
        while let batch = try cursor.nextBatch() {
            count += batch.count
            try output.write { batch.writeNDJSON(into: &$0) }
        }
        try output.flush()
        return count
    }

    /// The same objects as ndjson, comma-separated: a line holds one object and no raw line end.
    private func printArray(_ cursor: EventCursor) throws -> Int {
        var count = 0
        var lines: [UInt8] = []
        try output.write("[")
        while let batch = try cursor.nextBatch() {
            lines.removeAll(keepingCapacity: true)
            batch.writeNDJSON(into: &lines)
            let isFirst = count == 0
            try output.write { EventPrinter.joined(lines, isFirst: isFirst, into: &$0) }
            count += batch.count
        }
        try output.write(count == 0 ? "]\n" : "\n]\n")
        try output.flush()
        return count
    }

    static func joined(_ lines: [UInt8], isFirst: Bool, into target: inout [UInt8]) {
        var first = isFirst
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            target.append(contentsOf: first ? [UInt8(ascii: "\n")] : [UInt8(ascii: ","), UInt8(ascii: "\n")])
            target.append(contentsOf: line)
            first = false
        }
    }

    private func printTable(_ cursor: EventCursor) throws -> Int {
        var count = 0
        let writer = try RowWriter(
            columns: ["timestamp", "entity", "type", "attributes"], format: .table, output: output, times: times,
            terminal: terminal)
        while let batch = try cursor.nextBatch() {
            for index in 0..<batch.count { try writer.write(EventPrinter.summary(batch[index])) }
            count += batch.count
        }
        if count > 0 { try writer.finish() }
        return count
    }

    static func summary(_ event: Event) -> [Cell] {
        [.time(event.timestamp), .text(event.entity), .text(event.type), .text(pairs(event.attributes))]
    }

    /// `name=value` pairs in order of name; text with blanks or quotes stands in quotes.
    static func pairs(_ attributes: [String: AttributeValue]) -> String {
        attributes.sorted { $0.key < $1.key }.map { name, value in
            switch value {
            case .string(let text): name + "=" + (isPlain(text) ? text : JSONValue.string(text).text)
            case .integer(let number): "\(name)=\(number)"
            case .double(let number): "\(name)=\(number)"
            case .bool(let flag): "\(name)=\(flag)"
            case .json(let text): name + "=" + text
            }
        }.joined(separator: " ")
    }

    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") }
    }

    private func printCSV(
        _ store: BlockingEventStore, filter: EventFilter, order: EventOrder, limit: Int?
    ) throws -> Int {
        let cursor = try store.cursor(filter, order: order, limit: limit)
        if let limit, limit <= EventPrinter.csvBufferedRows {
            var events: [Event] = []
            while let batch = try cursor.nextBatch() { events += (0..<batch.count).map { batch[$0] } }
            let names = Set(events.flatMap(\.attributes.keys)).sorted()
            let writer = try csvWriter(names)
            for event in events { try writer.write(EventPrinter.row(event, names: names)) }
            try writer.finish()
            return events.count
        }
        let names = try attributeNames(store, filter: filter)
        let writer = try csvWriter(names)
        var count = 0
        while let batch = try cursor.nextBatch() {
            for index in 0..<batch.count { try writer.write(EventPrinter.row(batch[index], names: names)) }
            count += batch.count
        }
        try writer.finish()
        return count
    }

    /// Names of the attributes that occur; ends early once all the store knows have been seen.
    private func attributeNames(_ store: BlockingEventStore, filter: EventFilter) throws -> [String] {
        var seen = Set<String>()
        let cursor = try store.cursor(filter, order: .stored)
        defer { cursor.close() }
        let known = try store.names(of: .attribute).count
        while seen.count < known, let batch = try cursor.nextBatch() {
            for index in 0..<batch.count { seen.formUnion(batch[index].attributes.keys) }
        }
        return seen.sorted()
    }

    private func csvWriter(_ names: [String]) throws -> RowWriter {
        let columns = EventPrinter.fields + names.map { EventPrinter.fields.contains($0) ? "attributes." + $0 : $0 }
        return try RowWriter(columns: columns, format: .csv, output: output, times: times, terminal: terminal)
    }

    static func row(_ event: Event, names: [String]) -> [Cell] {
        var cells: [Cell] = [
            .text(event.entity), .text(event.type), .time(event.timestamp),
            event.id.map { .text($0.uuidString.lowercased()) } ?? .absent,
            .integer(Int64(clamping: event.sequence)), .time(event.received),
        ]
        cells.reserveCapacity(cells.count + names.count)
        for name in names { cells.append(event.attributes[name].map(Cell.init) ?? .absent) }
        return cells
    }
}

extension Cell {
    init(_ value: AttributeValue) {
        switch value {
        case .string(let text): self = .text(text)
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .double(number)
        case .bool(let flag): self = .bool(flag)
        case .json(let text): self = .json(text)
        }
    }
}
