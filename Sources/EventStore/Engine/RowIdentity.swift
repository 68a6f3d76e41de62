// What makes two rows the same event, and whether the same event says the same.

import EventStoreCore

enum RowIdentity {
    /// A hash of (entity, UTC day, id) for tables in memory. Never persisted: the seed changes with each process.
    @inline(__always)
    static func hash(entity: UInt32, day: Int64, id: EventID) -> UInt64 {
        let place = UInt64(entity) << 32 ^ UInt64(bitPattern: day)
        return Hash.mix(Hash.mix(id.high ^ Hash.seed, id.low), place)
    }

    @inline(__always)
    static func hash(_ batch: RowBatch, _ row: Int) -> UInt64 {
        hash(
            entity: batch.entityNumbers[Int(batch.entity.base[row])],
            day: CivilDate.day(ms: batch.timestamp.base[row]), id: batch.id.base[row])
    }

    @inline(__always)
    static func hash(_ view: ColumnView, _ row: Int) -> UInt64 {
        hash(entity: view.entityNumber(row), day: view.day(row), id: view.id[row])
    }

    static func isSame(_ a: RowBatch, _ rowA: Int, _ b: RowBatch, _ rowB: Int) -> Bool {
        a.id.base[rowA] == b.id.base[rowB]
            && a.entityNumbers[Int(a.entity.base[rowA])] == b.entityNumbers[Int(b.entity.base[rowB])]
            && CivilDate.day(ms: a.timestamp.base[rowA]) == CivilDate.day(ms: b.timestamp.base[rowB])
    }

    /// Whether two rows of one identity hold the same type, time and attributes.
    static func hasSameContent(_ a: RowBatch, _ rowA: Int, _ b: RowBatch, _ rowB: Int) -> Bool {
        guard a.timestamp.base[rowA] == b.timestamp.base[rowB] else { return false }
        let shapeA = a.shapes[Int(a.shape.base[rowA])]
        let shapeB = b.shapes[Int(b.shape.base[rowB])]
        guard a.typeNumbers[Int(shapeA.type)] == b.typeNumbers[Int(shapeB.type)],
            shapeA.columns.count == shapeB.columns.count
        else { return false }
        let cellsA = a.cells(ofRow: rowA)
        let cellsB = b.cells(ofRow: rowB)
        for (index, column) in shapeA.columns.enumerated() {
            let attribute = a.attributeNumbers[Int(column.attribute)]
            let other = shapeB.columns.firstIndex {
                $0.kind == column.kind && b.attributeNumbers[Int($0.attribute)] == attribute
            }
            guard let other else { return false }
            switch column.kind {
            case .string, .json:
                guard
                    a.strings.bytes(Int(cellsA[index])).elementsEqual(b.strings.bytes(Int(cellsB[other])))
                else { return false }
            case .integer, .double, .bool:
                guard cellsA[index] == cellsB[other] else { return false }
            }
        }
        return true
    }
}

/// An open-addressing table from identity hash to row. Used by one thread at a time.
struct RowIndex: ~Copyable {
    /// One cache line holds four: a look-up costs one miss.
    struct Slot: BitwiseCopyable {
        /// 0 marks a free slot.
        var hash: UInt64 = 0
        var ref = RowRef(batch: 0, row: 0)
    }

    private var slots = GrowableBuffer<Slot>()
    private var mask = 0
    private(set) var count = 0
    /// Which slots are used, so that a table that is filled anew again and again is emptied at the cost of
    /// what was in it.
    private var used = GrowableBuffer<UInt32>()

    init(capacity: Int = 512) { allocate(capacity) }

    var byteCount: Int { slots.byteCount + used.byteCount }

    private mutating func allocate(_ capacity: Int) {
        var size = 1024
        while size < capacity * 2 { size *= 2 }
        slots = GrowableBuffer(capacity: size)
        slots.resize(to: size, filling: Slot())
        mask = size - 1
        count = 0
        used.truncate(to: 0)
    }

    @inline(__always)
    private static func mark(_ hash: UInt64) -> UInt64 { hash == 0 ? 1 : hash }

    /// The first row of this hash for which `isSame` holds.
    @inline(__always)
    func find(_ hash: UInt64, _ isSame: (RowRef) -> Bool) -> RowRef? {
        let wanted = RowIndex.mark(hash)
        var slot = Int(truncatingIfNeeded: wanted) & mask
        while slots.base[slot].hash != 0 {
            if slots.base[slot].hash == wanted, isSame(slots.base[slot].ref) { return slots.base[slot].ref }
            slot = (slot + 1) & mask
        }
        return nil
    }

    mutating func insert(_ hash: UInt64, _ ref: RowRef) {
        if (count + 1) * 2 > mask { grow() }
        place(RowIndex.mark(hash), ref)
        count += 1
    }

    /// Puts another row in the place of the first for which the condition holds.
    mutating func replace(_ hash: UInt64, _ condition: (RowRef) -> Bool, with ref: RowRef) {
        let wanted = RowIndex.mark(hash)
        var slot = Int(truncatingIfNeeded: wanted) & mask
        while slots.base[slot].hash != 0 {
            if slots.base[slot].hash == wanted, condition(slots.base[slot].ref) {
                slots.base[slot].ref = ref
                return
            }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private mutating func place(_ wanted: UInt64, _ ref: RowRef) {
        var slot = Int(truncatingIfNeeded: wanted) & mask
        while slots.base[slot].hash != 0 { slot = (slot + 1) & mask }
        slots.base[slot] = Slot(hash: wanted, ref: ref)
        used.append(UInt32(truncatingIfNeeded: slot))
    }

    private mutating func grow() {
        var bigger = RowIndex(capacity: (mask + 1) * 2)
        for slot in 0...mask where slots.base[slot].hash != 0 {
            bigger.place(slots.base[slot].hash, slots.base[slot].ref)
        }
        bigger.count = count
        self = bigger
    }

    mutating func removeAll() {
        for index in 0..<used.count { slots.base[Int(used.base[index])] = Slot() }
        used.truncate(to: 0)
        count = 0
    }
}
