// Reads the columns of a unit: blocks are opened one after the other, and what is asked for goes into vectors that
// run on across them.

import EventStoreCore
import EventStoreSegments

/// What loading cost.
struct LoadCounts: Sendable {
    var blocksRead = 0
    var blocksPruned = 0
    var bytesRead = 0
}

/// One per thread.
final class UnitLoader {
    private let source: any ScanSource
    private let cache: ColumnCache
    private var scanner: BlockScanner
    private(set) var counts = LoadCounts()

    /// From this many entities of a unit on, the segment's hot region is read in large pieces.
    private static let prefetchEntriesMin = 8

    init(_ source: any ScanSource, _ cache: ColumnCache) {
        self.source = source
        self.cache = cache
        scanner = BlockScanner(sealer: source.makeSealer())
    }

    /// The columns asked for, in order. What is not cached is read, all in one pass over the blocks.
    func columns(_ unit: ScanUnit, _ wanted: [UnitColumnID]) throws(Fault) -> [UnitColumn] {
        var found = cache.find(unit.key, wanted)
        if !found.contains(where: { $0 == nil }) { return found.compactMap { $0 } }
        let missing = wanted.indices.filter { found[$0] == nil }
        let run = LoadRun(missing.map { wanted[$0] }, capacity: 0)
        switch unit.rows {
        case .segment(let entries, let slice): try read(unit, entries, slice, run)
        case .memory(let batches): MemoryLoading(source, run).read(batches)
        }
        for (place, column) in zip(missing, run.finish(source)) {
            found[place] = column
            cache.add(unit.key, wanted[place], column)
        }
        return found.compactMap { $0 }
    }

    private func read(
        _ unit: ScanUnit, _ entries: [SegmentEntityEntry], _ slice: ScanUnit.Slice, _ run: LoadRun
    ) throws(Fault) {
        run.reserve(unit.rowCount)
        // Of whole entities, who and how many is known without looking.
        if run.needsOnlyEntity, slice.count == 1 {
            for entry in entries { run.addEntity(entry.entity, rows: entry.rows) }
            return
        }
        let reader = try source.reader(segment: unit.key.segment)
        counts.bytesRead += entries.reduce(0) { $0 + $1.headLength }
        if entries.count >= UnitLoader.prefetchEntriesMin { try scanner.prefetch(reader) }
        for entry in entries {
            try scanner.open(reader, entry)
            let blocks = scanner.blockCount
            let range = blocks * slice.index / slice.count..<blocks * (slice.index + 1) / slice.count
            for block in range {
                counts.blocksRead += 1
                try run.add(scanner, entry, block)
            }
        }
    }
}

/// The columns being loaded of one unit.
final class LoadRun {
    private let wanted: [UnitColumnID]
    private var rows = 0
    private var capacity: Int
    private var integers: [UnitColumnID: VectorBuilder] = [:]
    /// By attribute; kinds in order of appearance.
    private var attributes: [UInt32: [(kind: ValueKind, builder: VectorBuilder)]] = [:]
    private var entityRuns: [(entity: UInt32, rows: Int)] = []
    private var typeCodes = GrowableBuffer<UInt32>()
    private var types: [UInt32] = []
    private var typeIndex: [UInt32: UInt32] = [:]
    private var ids = GrowableBuffer<EventID>()
    private var seenAttributes: Set<UInt32> = []

    private let wantsType: Bool
    private let wantsID: Bool
    private let wantsList: Bool
    private let wantedAttributes: [UInt32]
    let needsOnlyEntity: Bool

    init(_ wanted: [UnitColumnID], capacity: Int) {
        self.wanted = wanted
        self.capacity = capacity
        wantsType = wanted.contains(.type)
        wantsID = wanted.contains(.id)
        wantsList = wanted.contains(.attributeList)
        needsOnlyEntity = wanted == [.entity]
        wantedAttributes = wanted.compactMap { if case .attribute(let number) = $0 { number } else { nil } }
    }

    /// Before the first row: how many there will be, at least.
    func reserve(_ rows: Int) { capacity = max(capacity, rows) }

    private func number(_ column: UnitColumnID) -> VectorBuilder? {
        guard wanted.contains(column) else { return nil }
        if let known = integers[column] { return known }
        let builder = VectorBuilder(kind: .integer, capacity: capacity)
        integers[column] = builder
        return builder
    }

    private func builder(_ attribute: UInt32, _ kind: ValueKind) -> VectorBuilder {
        if let known = attributes[attribute]?.first(where: { $0.kind == kind }) { return known.builder }
        let builder = VectorBuilder(kind: kind, capacity: capacity)
        attributes[attribute, default: []].append((kind, builder))
        return builder
    }

    // MARK: Blocks

    func addEntity(_ entity: UInt32, rows count: Int) {
        if let last = entityRuns.last, last.entity == entity {
            entityRuns[entityRuns.count - 1].rows += count
        } else {
            entityRuns.append((entity, count))
        }
        rows += count
    }

    func add(_ scanner: BlockScanner, _ entry: SegmentEntityEntry, _ block: Int) throws(Fault) {
        let info = scanner.block(block)
        let count = info.rows
        guard rows + count <= capacity else {
            throw Fault(.damaged, "an entity has more rows than the index says", at: .init(entity: entry.entity))
        }
        if let builder = number(.timestamp) { builder.append(try scanner.timestamps(block), at: rows, rows: count) }
        if let builder = number(.received) { builder.append(try scanner.received(block), at: rows, rows: count) }
        if let builder = number(.sequence) {
            let sequences = UnsafeRawPointer(try scanner.sequences(block)).assumingMemoryBound(to: Int64.self)
            builder.append(sequences, at: rows, rows: count)
        }
        if wantsType { addTypes(info, try scanner.shapeCodes(block)) }
        if wantsID { ids.append(from: try scanner.ids(block), count: count) }
        for attribute in wantedAttributes { try addAttribute(attribute, scanner, info, block) }
        if wantsList { for key in info.columns { seenAttributes.insert(key.attribute) } }
        addEntity(entry.entity, rows: count)
    }

    private func addAttribute(
        _ attribute: UInt32, _ scanner: BlockScanner, _ info: ScannedBlock, _ block: Int
    ) throws(Fault) {
        // Kinds of one attribute stand side by side.
        for (number, key) in info.columns.enumerated() where key.attribute == attribute {
            let column = try scanner.column(block, at: number)
            builder(attribute, key.kind).append(column, at: rows, rows: info.rows)
        }
    }

    private func addTypes(_ info: ScannedBlock, _ codes: UnsafePointer<UInt32>) {
        if info.shapes.count == 1 {
            typeCodes.resize(to: typeCodes.count + info.rows, filling: typeCode(info.shapes[0].type))
            return
        }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: info.shapes.count) { local in
            for (index, shape) in info.shapes.enumerated() { local[index] = typeCode(shape.type) }
            typeCodes.reserve(info.rows)
            for row in 0..<info.rows { typeCodes.append(local[Int(codes[row])]) }
        }
    }

    private func typeCode(_ type: UInt32) -> UInt32 {
        if let known = typeIndex[type] { return known }
        types.append(type)
        typeIndex[type] = UInt32(types.count)
        return UInt32(types.count)
    }

    // MARK: Rows in memory

    /// A row of a batch; the batch's own numbers are handed in.
    func addRow(entity: UInt32, type: UInt32, _ batch: RowBatch, _ row: Int, _ cells: [(UInt32, ValueKind, Int)]) {
        number(.timestamp)?.set(number: batch.timestamp.base[row], at: rows)
        number(.received)?.set(number: batch.received.base[row], at: rows)
        number(.sequence)?.set(number: Int64(bitPattern: batch.sequence.base[row]), at: rows)
        if wantsType { typeCodes.append(typeCode(type)) }
        if wantsID { ids.append(batch.id.base[row]) }
        let payloads = batch.cells(ofRow: row)
        for (attribute, kind, cell) in cells {
            if wantsList { seenAttributes.insert(attribute) }
            guard wantedAttributes.contains(attribute) else { continue }
            let target = builder(attribute, kind)
            if target.isText {
                target.set(text: batch.strings.bytes(Int(payloads[cell])), at: rows)
            } else {
                target.set(number: Int64(bitPattern: payloads[cell]), at: rows)
            }
        }
        addEntity(entity, rows: 1)
    }

    // MARK: Results

    func finish(_ source: any ScanSource) -> [UnitColumn] { wanted.map { column($0, source) } }

    private func column(_ id: UnitColumnID, _ source: any ScanSource) -> UnitColumn {
        switch id {
        case .timestamp, .received, .sequence:
            return UnitColumn(integers[id]?.finish(count: rows) ?? .absent(count: rows))
        case .id: return UnitColumn(.ids(UnsafePointer(ids.base), count: rows))
        case .entity: return UnitColumn(entityVector(source))
        case .type:
            let dictionary = VectorDictionary()
            for type in types { _ = source.typeName(type).withBytes { dictionary.intern($0) } }
            return UnitColumn(.codes(UnsafePointer(typeCodes.base), dictionary, count: rows))
        case .attribute(let number):
            let parts = (attributes[number] ?? []).map { (kind: $0.kind, vector: $0.builder.finish(count: rows)) }
            return UnitColumn(.combined(parts.map(\.vector), count: rows), parts: parts)
        case .attributeList: return UnitColumn(.absent(count: rows), attributes: seenAttributes.sorted())
        }
    }

    private func entityVector(_ source: any ScanSource) -> Vector {
        let dictionary = VectorDictionary()
        var codes = GrowableBuffer<UInt32>(capacity: rows)
        var known: [UInt32: UInt32] = [:]
        for run in entityRuns {
            let code = known[run.entity] ?? source.entityName(run.entity).withBytes { dictionary.intern($0) }
            known[run.entity] = code
            codes.resize(to: codes.count + run.rows, filling: code)
        }
        return .codes(UnsafePointer(codes.base), dictionary, count: rows)
    }
}

extension String {
    func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
        var copy = self
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}

/// Reads batches in memory row by row; shapes are looked up once.
struct MemoryLoading {
    private let source: any ScanSource
    private let run: LoadRun

    init(_ source: any ScanSource, _ run: LoadRun) {
        self.source = source
        self.run = run
    }

    func read(_ batches: [RowBatch]) {
        run.reserve(batches.reduce(0) { $0 + $1.rowCount })
        for batch in batches {
            let cells = batch.shapes.map { shape in
                shape.columns.enumerated().map { index, key in
                    (batch.attributeNumbers[Int(key.attribute)], key.kind, index)
                }
            }
            for row in 0..<batch.rowCount {
                let shape = Int(batch.shape.base[row])
                run.addRow(
                    entity: batch.entityNumbers[Int(batch.entity.base[row])],
                    type: batch.typeNumbers[Int(batch.shapes[shape].type)], batch, row, cells[shape])
            }
        }
    }
}
