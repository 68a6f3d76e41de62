// Counts over time by series: what a chart draws.

import EventStoreCore
import EventStoreQuery
import EventStoreSegments

extension StoreEngine {
    /// More buckets than anybody looks at; also bounds the memory of a mistyped bucket.
    private static let bucketsMax = 1_000_000

    func histogram(
        _ filter: EventFilter, by: String?, bucketMs: Int64, origin: Int64
    ) throws(Fault) -> Histogram {
        guard bucketMs > 0, bucketMs < 1 << 50, origin.magnitude < 1 << 50 else {
            throw Fault(.invalid, "a bucket is longer than nothing, and its origin a time within the calendar")
        }
        return try onSnapshot { (snapshot, missingIsDamage) throws(Fault) in
            try histogram(filter, by, bucketMs, origin, snapshot, missingIsDamage)
        }
    }

    private func histogram(
        _ filter: EventFilter, _ by: String?, _ bucketMs: Int64, _ origin: Int64, _ snapshot: Published,
        _ missingIsDamage: Bool
    ) throws(Fault) -> Histogram {
        var table = SeriesTable(bucketMs: bucketMs, origin: origin, by: series(by))
        guard let compiled = try context.names.compile(filter), table.by != .nothing else {
            return table.histogram(context.names, bucketsMax: StoreEngine.bucketsMax) ?? Histogram.empty(bucketMs)
        }
        for batch in snapshot.memory where batch.times.overlaps(compiled.times) { table.add(batch.rows, compiled) }
        let scan = PartitionScan(context, compiled)
        scan.missingIsDamage = missingIsDamage
        for handle in snapshot.segments.all where handle.times.overlaps(compiled.times) {
            let entries = try scan.entries(handle)
            try scan.forEachBlock(handle, entries, times: { $0 }) { (source, rows) throws(Fault) in
                try table.add(scan.scanner, source, rows)
            }
        }
        guard var histogram = table.histogram(context.names, bucketsMax: StoreEngine.bucketsMax) else {
            throw Fault(.limit, "more than \(StoreEngine.bucketsMax) buckets; choose longer ones or less time")
        }
        histogram.damage = scan.damage.first.map { EventStoreError($0) }
        return histogram
    }

    private func series(_ by: String?) -> SeriesTable.Key {
        switch by {
        case nil: .total
        case "type": .type
        case "entity": .entity
        case let name?: context.names.number(ofAttribute: name).map { .attribute($0) } ?? .nothing
        }
    }
}

extension Histogram {
    static func empty(_ bucketMs: Int64) -> Histogram { Histogram(start: 0, bucketMs: bucketMs, series: []) }
}

private struct SeriesTable {
    enum Key: Equatable {
        case total, type, entity
        case attribute(UInt32)
        /// An attribute no event has.
        case nothing
    }

    /// What a series stands for; text is interned below.
    private enum Series: Hashable {
        case number(UInt32)
        case text(UInt32)
        case absent
    }

    let bucketMs: Int64
    let origin: Int64
    let by: Key
    private var texts = TextTable()
    private var counts: [Series: [Int64: Int]] = [:]

    /// Interned texts, copyable with the table.
    private struct TextTable {
        var codes: [[UInt8]: UInt32] = [:]
        var texts: [[UInt8]] = []
        mutating func code(_ bytes: [UInt8]) -> UInt32 {
            if let known = codes[bytes] { return known }
            codes[bytes] = UInt32(texts.count)
            texts.append(bytes)
            return UInt32(texts.count - 1)
        }
    }

    init(bucketMs: Int64, origin: Int64, by: Key) {
        self.bucketMs = bucketMs
        self.origin = origin
        self.by = by
    }

    private func bucket(_ time: Int64) -> Int64 { CivilDate.floorDivide(time &- origin, bucketMs) }

    private mutating func add(_ series: Series, _ time: Int64) {
        counts[series, default: [:]][bucket(time), default: 0] += 1
    }

    // MARK: Rows in memory

    mutating func add(_ rows: RowBatch, _ filter: RowFilter) {
        var found: [(Series, Int64)] = []
        var table = texts
        let by = by
        BatchFilter(rows, filter).forEachMatch { row in
            let series: Series
            switch by {
            case .total, .nothing: series = .number(0)
            case .entity: series = .number(rows.entityNumbers[Int(rows.entity.base[row])])
            case .type: series = .number(rows.typeNumbers[Int(rows.shapes[Int(rows.shape.base[row])].type)])
            case .attribute(let number): series = SeriesTable.value(rows, row, number, &table)
            }
            found.append((series, rows.timestamp.base[row]))
        }
        texts = table
        for (series, time) in found { add(series, time) }
    }

    private static func value(
        _ rows: RowBatch, _ row: Int, _ attribute: UInt32, _ texts: inout TextTable
    ) -> Series {
        let shape = rows.shapes[Int(rows.shape.base[row])]
        let cell = shape.columns.firstIndex { rows.attributeNumbers[Int($0.attribute)] == attribute }
        guard let cell else { return .absent }
        let payload = rows.cells(ofRow: row)[cell]
        switch shape.columns[cell].kind {
        case .string, .json: return .text(texts.code([UInt8](rows.strings.bytes(Int(payload)))))
        case .integer: return .text(texts.code(Array("\(Int64(bitPattern: payload))".utf8)))
        case .double: return .text(texts.code(Array("\(Double(bitPattern: payload))".utf8)))
        case .bool: return .text(texts.code(Array((payload != 0 ? "true" : "false").utf8)))
        }
    }

    // MARK: Blocks

    mutating func add(
        _ scanner: BlockScanner, _ source: BlockSource, _ rows: UnsafeBufferPointer<UInt32>
    ) throws(Fault) {
        let times = try scanner.timestamps(source.block)
        switch by {
        case .total, .nothing:
            for row in rows { add(.number(0), times[Int(row)]) }
        case .entity:
            for row in rows { add(.number(source.entry.entity), times[Int(row)]) }
        case .type:
            let codes = try scanner.shapeCodes(source.block)
            let shapes = scanner.block(source.block).shapes
            for row in rows { add(.number(shapes[Int(codes[Int(row)])].type), times[Int(row)]) }
        case .attribute(let number):
            try addValues(scanner, source, rows, number, times)
        }
    }

    private mutating func addValues(
        _ scanner: BlockScanner, _ source: BlockSource, _ rows: UnsafeBufferPointer<UInt32>, _ attribute: UInt32,
        _ times: UnsafePointer<Int64>
    ) throws(Fault) {
        let info = scanner.block(source.block)
        var columns: [BlockColumn] = []
        for key in info.columns where key.attribute == attribute {
            if let column = try scanner.column(source.block, key) { columns.append(column) }
        }
        // Codes of dictionary entries, once per entry.
        var known = [[UInt32: UInt32]](repeating: [:], count: columns.count)
        for row in rows {
            var series = Series.absent
            for (index, column) in columns.enumerated() {
                let place = column.dense.map { Int($0[Int(row)]) } ?? Int(row)
                guard place >= 0 else { continue }
                series = .text(code(column, place, &known[index]))
                break
            }
            add(series, times[Int(row)])
        }
    }

    private mutating func code(_ column: BlockColumn, _ place: Int, _ known: inout [UInt32: UInt32]) -> UInt32 {
        switch column.values {
        case .strings(let strings):
            let entry = strings.codes[place]
            if let code = known[entry] { return code }
            let code = texts.code([UInt8](strings.entries[Int(entry)].bytes))
            known[entry] = code
            return code
        case .integers(let values): return texts.code(Array("\(values[place])".utf8))
        case .doubles(let values): return texts.code(Array("\(values[place])".utf8))
        case .bools(let values): return texts.code(Array((values[place] ? "true" : "false").utf8))
        }
    }

    // MARK: Result

    /// `nil` when there would be too many buckets.
    func histogram(_ names: NameTable, bucketsMax: Int) -> Histogram? {
        let buckets = counts.values.flatMap(\.keys)
        guard let first = buckets.min(), let last = buckets.max() else { return .empty(bucketMs) }
        guard last - first < Int64(bucketsMax) else { return nil }
        let size = Int(last - first) + 1
        var series: [(name: String, counts: [Int])] = []
        for (key, found) in counts {
            var list = [Int](repeating: 0, count: size)
            for (bucket, count) in found { list[Int(bucket - first)] = count }
            series.append((name: name(key, names), counts: list))
        }
        let totals = series.map { ($0, $0.counts.reduce(0, +)) }
        let sorted = totals.sorted { ($1.1, $0.0.name) < ($0.1, $1.0.name) }.map(\.0)
        return Histogram(start: origin + first * bucketMs, bucketMs: bucketMs, series: sorted)
    }

    private func name(_ series: Series, _ names: NameTable) -> String {
        switch series {
        case .absent: return "(absent)"
        case .text(let code): return String(decoding: texts.texts[Int(code)], as: UTF8.self)
        case .number(let number):
            switch by {
            case .entity: return names.entityName(number) ?? ""
            case .type: return names.typeName(number) ?? ""
            default: return "events"
            }
        }
    }
}
