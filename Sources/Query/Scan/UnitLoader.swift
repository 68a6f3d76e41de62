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
    let source: any ScanSource
    private let cache: ColumnCache
    /// Made when something is read: a query of cached columns needs none.
    private(set) lazy var scanner = BlockScanner(sealer: sealer)
    private lazy var sealer = source.makeSealer()
    private let scratch = Scratch()
    var counts = LoadCounts()

    /// From this many entities of a unit on, the segment's hot region is read in large pieces.
    private static let prefetchEntriesMin = 8

    init(_ source: any ScanSource, _ cache: ColumnCache) {
        self.source = source
        self.cache = cache
    }

    func isCached(_ unit: ScanUnit, _ columns: [UnitColumnID]) -> Bool {
        !cache.find(unit.key, columns).contains { $0 == nil }
    }

    /// The columns asked for, in order. What is not cached is read, all in one pass over the blocks.
    func columns(_ unit: ScanUnit, _ wanted: [UnitColumnID]) throws(Fault) -> [UnitColumn] {
        var found = cache.find(unit.key, wanted)
        if !found.contains(where: { $0 == nil }) { return found.compactMap { $0 } }
        let missing = wanted.indices.filter { found[$0] == nil }
        scratch.reset()
        let run = LoadRun(missing.map { wanted[$0] }, scratch)
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
        // Of whole entities, who and how many is known without looking.
        if run.needsOnlyEntity, slice.count == 1 {
            for entry in entries { run.addEntity(entry.entity, rows: entry.rows) }
            return
        }
        if slice.count == 1 { run.reserve(unit.rowCount) }
        let reader = try source.reader(segment: unit.key.segment)
        sealer.refresh()
        let opened = scanner.bytesOpened
        defer { counts.bytesRead += scanner.bytesOpened - opened }
        if entries.count >= UnitLoader.prefetchEntriesMin { try scanner.prefetch(reader) }
        for entry in entries {
            try scanner.open(reader, entry)
            let blocks = scanner.blockCount
            let range = blocks * slice.index / slice.count..<blocks * (slice.index + 1) / slice.count
            if slice.count > 1 { run.reserve(range.reduce(0) { $0 + scanner.block($1).rows }) }
            for block in range {
                counts.blocksRead += 1
                try run.add(scanner, entry, block)
            }
        }
    }
}

/// The columns being loaded of one unit.
final class LoadRun {
    /// A wanted attribute, and the vectors of its kinds in order of appearance.
    private final class AttributeBuilders {
        let attribute: UInt32
        var parts: [(kind: ValueKind, builder: VectorBuilder)] = []
        init(_ attribute: UInt32) { self.attribute = attribute }
    }

    private let wanted: [UnitColumnID]
    private let scratch: Scratch
    @exclusivity(unchecked) private var rows = 0
    @exclusivity(unchecked) private var capacity = 0
    @exclusivity(unchecked) private var timestamps: VectorBuilder?
    @exclusivity(unchecked) private var received: VectorBuilder?
    @exclusivity(unchecked) private var sequences: VectorBuilder?
    private let attributes: [AttributeBuilders]
    @exclusivity(unchecked) private var entityRuns: [(entity: UInt32, rows: Int)] = []
    @exclusivity(unchecked) private var typeCodes: UnsafeMutablePointer<UInt32>?
    @exclusivity(unchecked) private var types: [UInt32] = []
    /// Code of each type by its number; 0 where not met yet.
    @exclusivity(unchecked) private var typeIndex = GrowableBuffer<UInt32>()
    @exclusivity(unchecked) private var ids: UnsafeMutablePointer<EventID>?
    @exclusivity(unchecked) private var idHashes: UnsafeMutablePointer<UInt32>?
    @exclusivity(unchecked) private var seenAttributes: Set<UInt32> = []

    private let wantsList: Bool
    let needsOnlyEntity: Bool

    init(_ wanted: [UnitColumnID], _ scratch: Scratch) {
        self.wanted = wanted
        self.scratch = scratch
        wantsList = wanted.contains(.attributeList)
        needsOnlyEntity = wanted == [.entity]
        attributes = wanted.compactMap {
            if case .attribute(let number) = $0 { AttributeBuilders(number) } else { nil }
        }
    }

    /// Before the first row: how many there will be at most.
    func reserve(_ rows: Int) {
        capacity = rows
        func integers(_ column: UnitColumnID) -> VectorBuilder? {
            wanted.contains(column) ? VectorBuilder(kind: .integer, capacity: rows, scratch) : nil
        }
        timestamps = integers(.timestamp)
        received = integers(.received)
        sequences = integers(.sequence)
        if wanted.contains(.type) { typeCodes = scratch.take(rows, of: UInt32.self) }
        if wanted.contains(.id) { ids = scratch.take(rows, of: EventID.self) }
        if wanted.contains(.idHash) { idHashes = scratch.take(rows, of: UInt32.self) }
    }

    private func builder(_ attribute: AttributeBuilders, _ kind: ValueKind) -> VectorBuilder {
        for part in attribute.parts where part.kind == kind { return part.builder }
        let builder = VectorBuilder(kind: kind, capacity: capacity, scratch)
        attribute.parts.append((kind, builder))
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
        timestamps?.append(try scanner.timestamps(block), at: rows, rows: count)
        received?.append(try scanner.received(block), at: rows, rows: count)
        if let sequences {
            let numbers = UnsafeRawPointer(try scanner.sequences(block)).assumingMemoryBound(to: Int64.self)
            sequences.append(numbers, at: rows, rows: count)
        }
        if let typeCodes { try addTypes(info, scanner, block, typeCodes + rows) }
        if let ids { (ids + rows).update(from: try scanner.ids(block), count: count) }
        if let idHashes {
            let source = try scanner.ids(block)
            for row in 0..<count { idHashes[rows &+ row] = source[row].shortHash }
        }
        for attribute in attributes { try add(attribute, scanner, info, block) }
        if wantsList { for key in info.columns { seenAttributes.insert(key.attribute) } }
        addEntity(entry.entity, rows: count)
    }

    private func add(
        _ attribute: AttributeBuilders, _ scanner: BlockScanner, _ info: ScannedBlock, _ block: Int
    ) throws(Fault) {
        // Columns are in order of attribute; its kinds stand side by side.
        for number in 0..<info.columns.count {
            let key = info.columns[number]
            if key.attribute < attribute.attribute { continue }
            if key.attribute > attribute.attribute { return }
            let target = builder(attribute, key.kind)
            if info.shapesInOrder {
                target.append(try scanner.values(block, at: number), number, of: info, at: rows)
            } else {
                target.append(try scanner.column(block, at: number), at: rows, rows: info.rows)
            }
        }
    }

    private func addTypes(
        _ info: ScannedBlock, _ scanner: BlockScanner, _ block: Int, _ target: UnsafeMutablePointer<UInt32>
    ) throws(Fault) {
        if info.shapesInOrder {
            var row = 0
            for shape in info.shapes {
                (target + row).update(repeating: typeCode(shape.type), count: shape.rows)
                row += shape.rows
            }
            return
        }
        let codes = try scanner.shapeCodes(block)
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: info.shapes.count) { local in
            for index in 0..<info.shapes.count { local[index] = typeCode(info.shapes[index].type) }
            for row in 0..<info.rows { target[row] = local[Int(codes[row])] }
        }
    }

    private func typeCode(_ type: UInt32) -> UInt32 {
        let number = Int(type)
        if number >= typeIndex.count { typeIndex.resize(to: number + 1, filling: 0) }
        if typeIndex.base[number] == 0 {
            types.append(type)
            typeIndex.base[number] = UInt32(types.count)
        }
        return typeIndex.base[number]
    }

    // MARK: Rows in memory

    /// A row of a batch; the batch's own numbers are handed in.
    func addRow(entity: UInt32, type: UInt32, _ batch: RowBatch, _ row: Int, _ cells: [(UInt32, ValueKind, Int)]) {
        timestamps?.set(number: batch.timestamp.base[row], at: rows)
        received?.set(number: batch.received.base[row], at: rows)
        sequences?.set(number: Int64(bitPattern: batch.sequence.base[row]), at: rows)
        if let typeCodes { typeCodes[rows] = typeCode(type) }
        if let ids { ids[rows] = batch.id.base[row] }
        if let idHashes { idHashes[rows] = batch.id.base[row].shortHash }
        let payloads = batch.cells(ofRow: row)
        for (attribute, kind, cell) in cells {
            if wantsList { seenAttributes.insert(attribute) }
            guard let wanted = attributes.first(where: { $0.attribute == attribute }) else { continue }
            let target = builder(wanted, kind)
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
        case .timestamp: return UnitColumn(timestamps?.finish(count: rows) ?? .absent(count: rows))
        case .received: return UnitColumn(received?.finish(count: rows) ?? .absent(count: rows))
        case .sequence: return UnitColumn(sequences?.finish(count: rows) ?? .absent(count: rows))
        case .idHash: return UnitColumn(idHashes.map { .hashes($0, count: rows) } ?? .absent(count: rows))
        case .id: return UnitColumn(ids.map { .ids($0, count: rows) } ?? .absent(count: rows))
        case .entity: return UnitColumn(entityVector(source))
        case .type:
            let dictionary = DictionaryBuilder()
            for type in types { _ = source.typeName(type).withBytes { dictionary.intern($0) } }
            return UnitColumn(typeCodes.map { .codes($0, dictionary.finish(), count: rows) } ?? .absent(count: rows))
        case .attribute(let number):
            let builders = attributes.first { $0.attribute == number }?.parts ?? []
            let parts = builders.map { (kind: $0.kind, vector: $0.builder.finish(count: rows)) }
            return UnitColumn(.combined(parts.map(\.vector), count: rows), parts: parts)
        case .attributeList: return UnitColumn(.absent(count: rows), attributes: seenAttributes.sorted())
        }
    }

    private func entityVector(_ source: any ScanSource) -> Vector {
        let dictionary = DictionaryBuilder()
        var runs: [(code: UInt32, rows: Int)] = []
        runs.reserveCapacity(entityRuns.count)
        source.withEntityNames(entityRuns.map(\.entity)) { name in
            runs.append((dictionary.intern(name), entityRuns[runs.count].rows))
        }
        return .runs(runs, dictionary.finish(), count: rows)
    }
}

extension EventID {
    /// Four bytes that ids differ in, mostly.
    var shortHash: UInt32 { UInt32(truncatingIfNeeded: Hash.mix(high, low)) }
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
