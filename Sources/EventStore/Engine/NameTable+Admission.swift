// Giving the names of a batch their store numbers, new ones included.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Synchronization

/// What naming a batch found.
struct NameAdmission {
    /// Names of entities the store did not know.
    var entitiesAdded: [String] = []
    /// Local entity codes that were not taken in: unknown, and new ones are not allowed.
    var unknownEntities: Set<UInt32> = []
    /// Local shape numbers that need a name beyond the store's limit.
    var refusedShapes: Set<UInt32> = []
    /// (local entity, local shape) pairs beyond the entity's limit of attribute names.
    var refusedPairs: Set<UInt64> = []
    /// By local entity code: what is before it has expired. Empty when nothing has.
    var floors: [Int64] = []
    /// Local codes of entities that may not write, and why.
    var closedEntities: [UInt32: RowVerdict] = [:]

    var refusesSomething: Bool {
        !unknownEntities.isEmpty || !refusedShapes.isEmpty || !refusedPairs.isEmpty || !floors.isEmpty
            || !closedEntities.isEmpty
    }

    static func pair(_ entity: UInt32, _ shape: UInt32) -> UInt64 { UInt64(entity) << 32 | UInt64(shape) }
}

extension NameTable {
    /// A number for what was not taken in. No name ever has it.
    static let noNumber = UInt32.max

    /// Fills the batch's number maps. Called by the store's writer only, one batch at a time.
    ///
    /// New entities get a key first, all in one durable rewrite of the keyring; their records and those of new
    /// names wait in `unsaved` for the commit that stores the batch.
    func admit(_ batch: RowBatch, allowNewEntities: Bool, plan: String?) throws(Fault) -> NameAdmission {
        var admission = NameAdmission()
        try admitEntities(batch, allowNewEntities, plan, &admission)
        noteLives(batch, &admission)
        findNumbers(batch)
        addNames(batch)
        noteRefusedShapes(batch, &admission)
        try noteHolders(batch, &admission)
        return admission
    }

    // MARK: Entities

    private func admitEntities(
        _ batch: RowBatch, _ allowNew: Bool, _ plan: String?, _ admission: inout NameAdmission
    ) throws(Fault) {
        let count = batch.entities.count
        var numbers = [UInt32](repeating: NameTable.noNumber, count: count)
        var missing: [Int] = []
        state.withLock { state in
            for code in 0..<count {
                if let number = state.entities.number(batch.entities.bytes(code)) {
                    numbers[code] = number
                } else {
                    missing.append(code)
                }
            }
        }
        if !allowNew { admission.unknownEntities = Set(missing.map { UInt32($0) }) }
        if allowNew, !missing.isEmpty {
            let ids = try newKeys(missing.count)
            for (index, code) in missing.enumerated() {
                numbers[code] = try addEntity(batch.entities.bytes(code), keyID: ids[index], plan)
                admission.entitiesAdded.append(batch.entities.string(code))
            }
        }
        batch.entityNumbers = numbers
    }

    /// Keys for new entities: in the ring and in its configured copy when it returns, both one write for all of them.
    /// If the copy cannot be written they are kept for the next try.
    func newKeys(_ count: Int) throws(Fault) -> [UInt64] {
        var ids = state.withLock { $0.spareKeyIDs }
        if ids.count < count { ids += try keyring.addEntityKeys(count - ids.count) }
        state.withLock { $0.spareKeyIDs = ids }
        try keyBackups.update()
        state.withLock { $0.spareKeyIDs = Array(ids.dropFirst(count)) }
        return Array(ids.prefix(count))
    }

    /// Keys that were drawn and are not used after all.
    func takeBack(keys ids: [UInt64]) { state.withLock { $0.spareKeyIDs += ids } }

    /// What the entities' plans and states let in.
    private func noteLives(_ batch: RowBatch, _ admission: inout NameAdmission) {
        let visibility = lives.visibility(nowMs: environment.nowMs())
        var floors: [Int64] = []
        var hasFloor = false
        for (code, number) in batch.entityNumbers.enumerated() {
            let floor = number == NameTable.noNumber ? .min : visibility.floor(number)
            floors.append(floor)
            if floor > .min { hasFloor = true }
            switch lives.record(number)?.life {
            case .suspended: admission.closedEntities[UInt32(code)] = .suspendedEntity
            case .cancelled: admission.closedEntities[UInt32(code)] = .cancelledEntity
            case .active, .erasing, .erased, nil: break
            }
        }
        if hasFloor { admission.floors = floors }
    }

    private func addEntity(
        _ name: UnsafeRawBufferPointer, keyID: UInt64, _ plan: String?
    ) throws(Fault) -> UInt32 {
        let key = try keyring.entityKey(keyID)
        let tag = nameTag("entity", name)
        return try state.withLock { (state) throws(Fault) in
            let number = state.entities.add(name)
            let sealed = try SealedValue.seal(
                [UInt8](name), key: key, aad: NameSealing.entity(number), environment)
            while state.keyIDs.count <= Int(number) { state.keyIDs.append(0) }
            state.keyIDs[Int(number)] = keyID
            let now = environment.nowMs()
            let plan = plan ?? defaultPlan
            let record = EntityRecord(
                number: number, keyID: keyID, sealedName: sealed, tag: tag, createdMs: now, plan: plan,
                state: LifeState.active.rawValue,
                floorMs: LifeTable.cutOff(days: lives.days(plan: plan) ?? 0, nowMs: now))
            state.unsaved.entities.append(record)
            lives.update([record])
            return number
        }
    }

    /// The blind name an entity has in the catalog.
    func entityTag(_ name: [UInt8]) -> [UInt8] { name.withUnsafeBytes { nameTag("entity", $0) } }

    /// A blind name of a name, by which the database keeps it unique without knowing it.
    func nameTag(_ kind: String, _ name: UnsafeRawBufferPointer) -> [UInt8] {
        let hasher = LineHasher(key: keyring.subkey(.nameTags))
        hasher.begin()
        Array(kind.utf8).withUnsafeBytes { hasher.add($0) }
        hasher.add(name)
        return hasher.finish().tagBytes
    }

    // MARK: Types and attributes

    /// Fills in the numbers of the names the store knows.
    private func findNumbers(_ batch: RowBatch) {
        let (types, attributes) = state.withLock { state in
            (
                (0..<batch.types.count).map { state.types.number(batch.types.bytes($0)) ?? NameTable.noNumber },
                (0..<batch.attributes.count).map {
                    state.attributes.number(batch.attributes.bytes($0)) ?? NameTable.noNumber
                }
            )
        }
        batch.typeNumbers = types
        batch.attributeNumbers = attributes
    }

    /// Gives new names numbers, as far as the limits of their entity and of the store allow: what a noisy entity
    /// may not have takes no number from the others. A name that gets none stays `noNumber`.
    private func addNames(_ batch: RowBatch) {
        let news = batch.shapes.map { shape in
            batch.typeNumbers[Int(shape.type)] == NameTable.noNumber
                || shape.columns.contains { batch.attributeNumbers[Int($0.attribute)] == NameTable.noNumber }
        }
        guard news.contains(true) else { return }
        for pair in pairs(batch, where: news) {
            let entity = batch.entityNumbers[Int(pair >> 32)]
            guard entity != NameTable.noNumber else { continue }
            state.withLock { addNames(batch, batch.shapes[Int(UInt32(truncatingIfNeeded: pair))], entity, &$0) }
        }
    }

    private func addNames(_ batch: RowBatch, _ shape: RowShape, _ entity: UInt32, _ state: inout State) {
        let type = Int(shape.type)
        let attributes = Set(shape.columns.map { Int($0.attribute) })
            .filter { batch.attributeNumbers[$0] == NameTable.noNumber }.sorted()
        let newTypes = batch.typeNumbers[type] == NameTable.noNumber ? 1 : 0
        let names = state.types.count + state.attributes.count + newTypes + attributes.count
        guard names <= Limits.namesPerStoreMax, mayHold(batch, shape, entity, state) else { return }
        if newTypes > 0 { batch.typeNumbers[type] = add(batch.types.bytes(type), .type, &state) }
        for code in attributes {
            batch.attributeNumbers[code] = add(batch.attributes.bytes(code), .attribute, &state)
        }
    }

    private func add(_ name: UnsafeRawBufferPointer, _ kind: StoredNameKind, _ state: inout State) -> UInt32 {
        let number = kind == .type ? state.types.add(name) : state.attributes.add(name)
        // Its record follows when an entity holds it: rows that are refused must leave no name behind.
        state.set(kind, number, nil, holders: [])
        return number
    }

    /// Whether an entity may use a shape's names: names that enough others use are the store's and do not count.
    private func mayHold(
        _ batch: RowBatch, _ shape: RowShape, _ entity: UInt32, _ state: borrowing State
    ) -> Bool {
        let attributes = Set(shape.columns.map { batch.attributeNumbers[Int($0.attribute)] })
        var newAttributes = Set(shape.columns.map(\.attribute))
            .count { batch.attributeNumbers[Int($0)] == NameTable.noNumber }
        for number in attributes where number != NameTable.noNumber {
            if let using = state.attributeHolders[Int(number)], !using.contains(entity) { newAttributes += 1 }
        }
        let type = batch.typeNumbers[Int(shape.type)]
        let isNewType =
            type == NameTable.noNumber || state.holders[Int(type)].map { !$0.contains(entity) } ?? false
        let limit = Limits.attributeNamesPerEntityMax
        if newAttributes > 0, state.heldAttributes[entity, default: 0] + newAttributes > limit { return false }
        return !isNewType || state.heldTypes[entity, default: 0] < limit
    }

    private func noteRefusedShapes(_ batch: RowBatch, _ admission: inout NameAdmission) {
        for (number, shape) in batch.shapes.enumerated() {
            let isRefused =
                batch.typeNumbers[Int(shape.type)] == NameTable.noNumber
                || shape.columns.contains { batch.attributeNumbers[Int($0.attribute)] == NameTable.noNumber }
            if isRefused { admission.refusedShapes.insert(UInt32(number)) }
        }
    }

    // MARK: Who uses a name

    /// Notes for each name that is not shared yet which entities of the batch use it.
    private func noteHolders(_ batch: RowBatch, _ admission: inout NameAdmission) throws(Fault) {
        let interesting = shapesToWatch(batch)
        guard interesting.contains(true) else { return }
        for pair in pairs(batch, where: interesting) {
            let code = UInt32(truncatingIfNeeded: pair >> 32)
            let shape = UInt32(truncatingIfNeeded: pair)
            let entity = batch.entityNumbers[Int(code)]
            if entity == NameTable.noNumber || admission.refusedShapes.contains(shape) { continue }
            if !(try note(batch.shapes[Int(shape)], entity, batch)) { admission.refusedPairs.insert(pair) }
        }
    }

    /// The (local entity, shape) pairs of the batch's rows with one of some shapes, in a fixed order, so that
    /// the same input makes the same records.
    private func pairs(_ batch: RowBatch, where wanted: [Bool]) -> [UInt64] {
        var pairs: Set<UInt64> = []
        var last = UInt64.max
        for row in 0..<batch.rowCount {
            let shape = batch.shape.base[row]
            guard wanted[Int(shape)] else { continue }
            let pair = NameAdmission.pair(batch.entity.base[row], shape)
            if pair != last { pairs.insert(pair) }
            last = pair
        }
        return pairs.sorted()
    }

    /// By shape: whether it has a name that is not shared.
    private func shapesToWatch(_ batch: RowBatch) -> [Bool] {
        state.withLock { state in
            batch.shapes.map { shape in
                let type = batch.typeNumbers[Int(shape.type)]
                if type != NameTable.noNumber && state.holders[Int(type)] != nil { return true }
                return shape.columns.contains { column in
                    let number = batch.attributeNumbers[Int(column.attribute)]
                    return number != NameTable.noNumber && state.attributeHolders[Int(number)] != nil
                }
            }
        }
    }

    /// Notes an entity's use of a shape's names; `false` when it would have too many.
    private func note(_ shape: RowShape, _ entity: UInt32, _ batch: RowBatch) throws(Fault) -> Bool {
        try state.withLock { (state) throws(Fault) in
            guard mayHold(batch, shape, entity, state) else { return false }
            let attributes = Set(shape.columns.map { batch.attributeNumbers[Int($0.attribute)] })
            try hold(.type, batch.typeNumbers[Int(shape.type)], entity, &state)
            for attribute in attributes.sorted() { try hold(.attribute, attribute, entity, &state) }
            return true
        }
    }

    private func hold(
        _ kind: StoredNameKind, _ number: UInt32, _ entity: UInt32, _ state: inout State
    ) throws(Fault) {
        let index = Int(number)
        guard let using = kind == .type ? state.holders[index] : state.attributeHolders[index],
            !using.contains(entity),
            let bytes = kind == .type ? state.types.bytes(number) : state.attributes.bytes(number)
        else { return }
        let name = [UInt8](bytes)
        if using.isEmpty { record(kind, number, name, &state) }
        if sharedMin > 0, using.count + 1 >= sharedMin {
            state.unsaved.shares.append(
                SharedName(
                    kind: kind.rawValue, number: number,
                    sealed: try SealedValue.seal(
                        name, key: keyring.subkey(.names), aad: NameSealing.shared(kind, number), environment)))
            for holder in using { state.count(kind, holder, -1) }
            state.set(kind, number, name, holders: nil)
            return
        }
        let key = try keyring.entityKey(state.keyIDs[Int(entity)])
        state.unsaved.holders.append(
            NameHolder(
                name: number, kind: kind.rawValue, entity: entity,
                sealed: try SealedValue.seal(
                    name, key: key, aad: NameSealing.holder(kind, number, entity), environment)))
        state.count(kind, entity, 1)
        state.set(kind, number, name, holders: using.union([entity]))
    }

    /// What the catalog keeps of a name, once the first entity uses it.
    private func record(_ kind: StoredNameKind, _ number: UInt32, _ name: [UInt8], _ state: inout State) {
        let tag = name.withUnsafeBytes { nameTag(kind == .type ? "type" : "attribute", $0) }
        state.unsaved.names.append(NameRecord(number: number, kind: kind.rawValue, tag: tag, shared: nil))
    }
}

extension NameAdmission {
    /// Why a row is not taken in, or `nil`.
    func verdict(_ batch: RowBatch, _ row: Int) -> RowVerdict? {
        let entity = batch.entity.base[row]
        let shape = batch.shape.base[row]
        if unknownEntities.contains(entity) { return .unknownEntity }
        if let closed = closedEntities[entity] { return closed }
        if !floors.isEmpty, batch.timestamp.base[row] < floors[Int(entity)] { return .expired }
        if refusedShapes.contains(shape) || refusedPairs.contains(NameAdmission.pair(entity, shape)) {
            return .tooManyNames
        }
        return nil
    }
}
