// Puts together one row at a time and writes accepted rows into the columns of a RowBatch.
//
// Invariants:
// - A row that is refused leaves no trace in the batch: names and strings are interned on acceptance only.
// - Codes used while parsing (entity, type, attribute) are the assembler's own and live as long as it does;
//   each gets its code in the current batch when a row first needs it there.
// - While a parse runs, the batch's columns live in this struct (`exchangeColumns`), so
//   that appending is a plain memory write without access checks on the batch's class properties.

import EventStoreCore

/// The assembler's codes of one kind of name, and what they are in the current batch.
struct NameCodes: ~Copyable {
    static let unassigned = UInt32.max
    var table: StringTable
    var inBatch = GrowableBuffer<UInt32>()

    init(capacity: Int) { table = StringTable(capacity: capacity) }

    mutating func code(_ pointer: UnsafeRawPointer, _ count: Int) -> UInt32 {
        let code = table.intern(pointer, count: count)
        if Int(code) == inBatch.count { inBatch.append(NameCodes.unassigned) }
        return code
    }

    mutating func code(_ name: [UInt8]) -> UInt32 {
        let code = name.withUnsafeBytes { table.intern($0) }
        if Int(code) == inBatch.count { inBatch.append(NameCodes.unassigned) }
        return code
    }

    mutating func forgetBatch() {
        for index in 0..<inBatch.count { inBatch.base[index] = NameCodes.unassigned }
    }
}

struct RowAssembler: ~Copyable {
    /// The order of keys rows of one kind arrive in, and the shape of the batch it stands for.
    private struct Arrival: BitwiseCopyable {
        var hash: UInt64
        var type: UInt32
        var count: UInt32
        /// Where its keys and positions start in `arrivalKeys` and `arrivalPositions`.
        var start: Int
        var shape: UInt32
    }

    // The row being put together, in order of arrival. Cells of string kinds have `texts` and `lengths`, others `values`.
    let keys: UnsafeMutablePointer<UInt32>
    let values: UnsafeMutablePointer<UInt64>
    let texts: UnsafeMutablePointer<UnsafeRawPointer>
    let lengths: UnsafeMutablePointer<Int>
    /// Whatever the parser wants to remember about each cell.
    let owners: UnsafeMutablePointer<UInt32>
    private(set) var count = 0

    var entities = NameCodes(capacity: 64)
    var types = NameCodes(capacity: 64)
    var attributes = NameCodes(capacity: 128)

    private var arrivals = GrowableBuffer<Arrival>()
    private var arrivalKeys = GrowableBuffer<UInt32>()
    /// For the i-th cell to arrive: its place in the canonical order.
    private var arrivalPositions = GrowableBuffer<UInt16>()
    /// Open addressing over `arrivals`: index + 1, 0 is free.
    private var arrivalSlots = GrowableBuffer<UInt32>()
    private var arrivalMask = 0

    private(set) var batch: RowBatch
    private var strings = StringTable()
    private var entity = GrowableBuffer<UInt32>()
    private var shape = GrowableBuffer<UInt32>()
    private var timestamp = GrowableBuffer<Int64>()
    private var id = GrowableBuffer<EventID>()
    private var flags = GrowableBuffer<RowFlags>()
    private var sequence = GrowableBuffer<UInt64>()
    private var received = GrowableBuffer<Int64>()
    private var cellStart = GrowableBuffer<UInt32>()
    private var cells = GrowableBuffer<UInt64>()

    static let cellsMax = Limits.attributesPerEventMax

    init() {
        let room = RowAssembler.cellsMax + 1
        keys = .allocate(capacity: room)
        values = .allocate(capacity: room)
        texts = .allocate(capacity: room)
        lengths = .allocate(capacity: room)
        owners = .allocate(capacity: room)
        batch = RowBatch()
        resetArrivals()
    }

    deinit {
        keys.deallocate()
        values.deallocate()
        texts.deallocate()
        lengths.deallocate()
        owners.deallocate()
    }

    // MARK: The batch

    /// Moves the batch's columns in here for a parse, or back after it.
    mutating func exchangeColumns() {
        swap(&strings, &batch.strings)
        swap(&entity, &batch.entity)
        swap(&shape, &batch.shape)
        swap(&timestamp, &batch.timestamp)
        swap(&id, &batch.id)
        swap(&flags, &batch.flags)
        swap(&sequence, &batch.sequence)
        swap(&received, &batch.received)
        swap(&cellStart, &batch.cellStart)
        swap(&cells, &batch.cells)
    }

    /// Rows in the batch; during a parse only.
    var rowCount: Int { @inline(__always) get { shape.count } }

    /// The batch as it stands; a fresh one takes its place. Not during a parse.
    mutating func takeBatch() -> RowBatch {
        let full = batch
        batch = RowBatch()
        entities.forgetBatch()
        types.forgetBatch()
        attributes.forgetBatch()
        for index in 0..<arrivals.count { arrivals.base[index].shape = NameCodes.unassigned }
        return full
    }

    /// Forgets all names and orders learned. Codes given out before mean nothing from here on.
    mutating func resetNames() {
        entities = NameCodes(capacity: 64)
        types = NameCodes(capacity: 64)
        attributes = NameCodes(capacity: 128)
        resetArrivals()
    }

    /// Forgets the entities' names. Their codes given out before mean nothing from here on.
    mutating func resetEntities() { entities = NameCodes(capacity: 64) }

    /// Keeps the memory of names bounded: forgets entities, or types and orders, when there are very many.
    /// Between rows only, and only where no code of an entity or a type is kept from row to row.
    mutating func forgetManyNames() {
        if entities.inBatch.count > RowAssembler.entitiesMax { resetEntities() }
        if types.inBatch.count > RowAssembler.typesMax || arrivals.count > RowAssembler.arrivalsMax {
            types = NameCodes(capacity: 64)
            resetArrivals()
        }
    }

    static let entitiesMax = 262_144
    static let typesMax = 16_384
    static let arrivalsMax = 65_536

    // MARK: Cells

    @inline(__always)
    mutating func begin() { count = 0 }

    /// Adds a number or a boolean. The caller has made sure that `count` is below `cellsMax`.
    @inline(__always)
    mutating func add(_ attribute: UInt32, _ kind: ValueKind, _ payload: UInt64, owner: UInt32 = 0) {
        keys[count] = attribute << 3 | UInt32(kind.rawValue)
        values[count] = payload
        owners[count] = owner
        count &+= 1
    }

    /// Adds text that must stay where it is until the row ends.
    @inline(__always)
    mutating func addText(
        _ attribute: UInt32, _ kind: ValueKind, _ text: UnsafeRawPointer, _ length: Int, owner: UInt32 = 0
    ) {
        keys[count] = attribute << 3 | UInt32(kind.rawValue)
        texts[count] = text
        lengths[count] = length
        owners[count] = owner
        count &+= 1
    }

    /// Drops the cells of an attribute.
    mutating func removeCells(of attribute: UInt32) {
        var kept = 0
        for index in 0..<count where keys[index] >> 3 != attribute {
            moveCell(from: index, to: kept)
            kept += 1
        }
        count = kept
    }

    /// For removing cells: move those to keep down, then truncate.
    func moveCell(from source: Int, to target: Int) {
        if source == target { return }
        keys[target] = keys[source]
        if isText(keys[source]) { texts[target] = texts[source] } else { values[target] = values[source] }
        lengths[target] = lengths[source]
        owners[target] = owners[source]
    }

    mutating func truncateCells(to newCount: Int) { count = newCount }

    /// Bytes of names and values, the measure of `Limits.eventBytesMax`: 8 for a number or a boolean.
    func eventBytes() -> Int {
        var sum = 0
        for index in 0..<count {
            sum += attributes.table.bytes(Int(keys[index] >> 3)).count
            sum += isText(keys[index]) ? lengths[index] : 8
        }
        return sum
    }

    @inline(__always)
    private func isText(_ key: UInt32) -> Bool {
        // Kinds 0 (string) and 4 (json).
        key & 3 == 0
    }

    // MARK: Rows

    /// Writes the row into the batch.
    @inline(__always)
    mutating func finish(
        entity entityCode: UInt32, type: UInt32, timestamp ms: Int64, id eventID: EventID, flags rowFlags: RowFlags
    ) {
        let arrival = findArrival(type: type)
        var shapeNumber = arrivals.base[arrival].shape
        if shapeNumber == NameCodes.unassigned { shapeNumber = assignShape(arrival) }
        let cellCount = count
        let first = cells.count
        cells.resize(to: first + cellCount, filling: 0)
        let target = cells.base + first
        let positions = arrivalPositions.base + arrivals.base[arrival].start
        for index in 0..<cellCount {
            var payload = values[index]
            if isText(keys[index]) {
                payload = UInt64(strings.intern(texts[index], count: lengths[index]))
            }
            target[Int(positions[index])] = payload
        }
        var entityNumber = entities.inBatch.base[Int(entityCode)]
        if entityNumber == NameCodes.unassigned {
            entityNumber = batch.entities.intern(entities.table.bytes(Int(entityCode)))
            entities.inBatch.base[Int(entityCode)] = entityNumber
        }
        entity.append(entityNumber)
        shape.append(shapeNumber)
        timestamp.append(ms)
        id.append(eventID)
        flags.append(rowFlags)
        sequence.append(0)
        received.append(0)
        cellStart.append(UInt32(truncatingIfNeeded: cells.count))
        count = 0
    }

    // MARK: Shapes

    @inline(__always)
    private func hashOfKeys(_ type: UInt32) -> UInt64 {
        var hash = UInt64(type) &+ 0x9e37_79b9_7f4a_7c15
        var index = 0
        while index &+ 1 < count {
            let pair = UInt64(keys[index]) | UInt64(keys[index &+ 1]) << 32
            hash = (hash ^ pair) &* 0x9fb2_1c65_1e98_df25
            hash ^= hash >> 32
            index &+= 2
        }
        if index < count {
            hash = (hash ^ UInt64(keys[index])) &* 0x9fb2_1c65_1e98_df25
            hash ^= hash >> 32
        }
        return hash
    }

    @inline(__always)
    private mutating func findArrival(type: UInt32) -> Int {
        let hash = hashOfKeys(type)
        var slot = Int(truncatingIfNeeded: hash) & arrivalMask
        while true {
            let entry = arrivalSlots.base[slot]
            if entry == 0 { return addArrival(type: type, hash: hash, slot: slot) }
            let known = arrivals.base + Int(entry &- 1)
            if known.pointee.hash == hash, known.pointee.type == type, Int(known.pointee.count) == count,
                sameKeys(arrivalKeys.base + known.pointee.start)
            {
                return Int(entry &- 1)
            }
            slot = (slot &+ 1) & arrivalMask
        }
    }

    @inline(__always)
    private func sameKeys(_ known: UnsafeMutablePointer<UInt32>) -> Bool {
        var difference: UInt32 = 0
        for index in 0..<count { difference |= known[index] ^ keys[index] }
        return difference == 0
    }

    private mutating func addArrival(type: UInt32, hash: UInt64, slot: Int) -> Int {
        let number = arrivals.count
        arrivals.append(
            Arrival(
                hash: hash, type: type, count: UInt32(count), start: arrivalKeys.count, shape: NameCodes.unassigned))
        arrivalKeys.append(from: keys, count: count)
        for _ in 0..<count { arrivalPositions.append(0) }
        arrivalSlots.base[slot] = UInt32(number + 1)
        if arrivals.count * 2 > arrivalMask { growArrivalSlots() }
        return number
    }

    private mutating func growArrivalSlots() {
        let size = (arrivalMask + 1) * 4
        arrivalSlots.truncate(to: 0)
        arrivalSlots.resize(to: size, filling: 0)
        arrivalMask = size - 1
        for number in 0..<arrivals.count {
            var slot = Int(truncatingIfNeeded: arrivals.base[number].hash) & arrivalMask
            while arrivalSlots.base[slot] != 0 { slot = (slot + 1) & arrivalMask }
            arrivalSlots.base[slot] = UInt32(number + 1)
        }
    }

    mutating func resetArrivals() {
        arrivals.truncate(to: 0)
        arrivalKeys.truncate(to: 0)
        arrivalPositions.truncate(to: 0)
        arrivalSlots.truncate(to: 0)
        arrivalSlots.resize(to: 256, filling: 0)
        arrivalMask = 255
    }

    /// The number of orders learned, which bounds the memory of this struct.
    var arrivalCount: Int { arrivals.count }

    /// Gives the arrival its shape in the current batch: names get their codes, columns their order.
    private mutating func assignShape(_ number: Int) -> UInt32 {
        let start = arrivals.base[number].start
        let size = Int(arrivals.base[number].count)
        let type = Int(arrivals.base[number].type)
        if types.inBatch.base[type] == NameCodes.unassigned {
            types.inBatch.base[type] = batch.types.intern(types.table.bytes(type))
        }
        var columns: [(key: ColumnKey, place: Int)] = []
        for place in 0..<size {
            let key = ColumnKey(raw: arrivalKeys.base[start + place])
            let attribute = Int(key.attribute)
            if attributes.inBatch.base[attribute] == NameCodes.unassigned {
                attributes.inBatch.base[attribute] = batch.attributes.intern(attributes.table.bytes(attribute))
            }
            columns.append((ColumnKey(attribute: attributes.inBatch.base[attribute], kind: key.kind), place))
        }
        columns.sort { $0.key < $1.key }
        for (position, column) in columns.enumerated() {
            arrivalPositions.base[start + column.place] = UInt16(position)
        }
        let shapeNumber = batch.internShape(
            RowShape(type: types.inBatch.base[type], columns: columns.map { $0.key }))
        arrivals.base[number].shape = shapeNumber
        return shapeNumber
    }
}
