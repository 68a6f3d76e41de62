// The names of the store in memory: entities, types, attributes, and their numbers.
//
// Invariants: a number is given once and never again; a name has one number. What is new is usable in memory
// at once and waits in `unsaved` until a commit has stored it, so a commit that fails loses nothing: the next
// one carries it. A type or attribute name is sealed under each using entity's key until `sharedMin` entities
// use it; then it stands once under the store's key.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Synchronization

/// The two kinds of names that are not entities; raw values stand in the catalog.
enum StoredNameKind: Int, CaseIterable, Sendable {
    case type = 1
    case attribute = 2
}

/// What the next commit has to carry.
struct UnsavedNames: Sendable {
    var entities: [EntityRecord] = []
    var names: [NameRecord] = []
    var holders: [NameHolder] = []
    var shares: [SharedName] = []
    var isEmpty: Bool { entities.isEmpty && names.isEmpty && holders.isEmpty && shares.isEmpty }
}

/// Names of one kind, by number. A number without a name (erased, or another process's) has a placeholder
/// that no input can spell.
struct NameList: ~Copyable {
    var table = StringTable(capacity: 64)

    var count: Int { table.count }

    func number(_ name: UnsafeRawBufferPointer) -> UInt32? { table.find(name) }

    func bytes(_ number: UInt32) -> UnsafeRawBufferPointer? {
        guard Int(number) < table.count else { return nil }
        let name = table.bytes(Int(number))
        return name.count > 0 && name[0] == 0xff ? nil : name
    }

    func string(_ number: UInt32) -> String? { bytes(number).map { String(decoding: $0, as: UTF8.self) } }

    /// Gives a number another name, or none. Rare, so the table is simply made anew.
    mutating func replace(_ number: UInt32, with name: [UInt8]?) {
        var fresh = StringTable(capacity: table.count)
        for code in 0..<table.count {
            if code == Int(number) {
                let text = name ?? [0xff] + Array("\(code)".utf8)
                _ = text.withUnsafeBytes { fresh.intern($0) }
            } else {
                _ = fresh.intern(table.bytes(code))
            }
        }
        table = fresh
    }

    /// Puts a name at its number; numbers skipped get placeholders (0xff starts no UTF-8).
    mutating func set(_ name: [UInt8]?, at number: UInt32) {
        while table.count < Int(number) { addPlaceholder() }
        if table.count > Int(number) {
            if let name, bytes(number) == nil { replacePlaceholder(number, with: name) }
            return
        }
        if let name {
            _ = name.withUnsafeBytes { table.intern($0) }
        } else {
            addPlaceholder()
        }
        // A name that was there already would not have taken a new code.
        while table.count <= Int(number) { addPlaceholder() }
    }

    /// A name may come after one with a higher number: rows that used it first were refused. Rare, so the
    /// table is simply made anew.
    private mutating func replacePlaceholder(_ number: UInt32, with name: [UInt8]) {
        guard name.withUnsafeBytes({ table.find($0) }) == nil else { return }
        replace(number, with: name)
    }

    private mutating func addPlaceholder() {
        let text = [0xff] + Array("\(table.count)".utf8)
        _ = text.withUnsafeBytes { table.intern($0) }
    }

    mutating func add(_ name: UnsafeRawBufferPointer) -> UInt32 { table.intern(name) }
}

final class NameTable: Sendable {
    struct State: ~Copyable {
        var entities = NameList()
        var types = NameList()
        var attributes = NameList()
        /// By entity number; 0 for one whose key is gone.
        var keyIDs: [UInt64] = []
        /// Entities using a name that is not shared yet, by kind and number; a shared name has no entry.
        var holders: [Set<UInt32>?] = []
        var attributeHolders: [Set<UInt32>?] = []
        var unsaved = UnsavedNames()
        /// How many names that are not shared an entity holds.
        var heldAttributes: [UInt32: Int] = [:]
        var heldTypes: [UInt32: Int] = [:]
        /// Keys that are in the ring and that no entity has: their copy could not be written.
        var spareKeyIDs: [UInt64] = []
        /// Keys that entities had before, by id, the destroyed ones included.
        var retired: [UInt64: UInt32] = [:]
    }

    let keyring: Keyring
    let keyBackups: KeyBackupKeeper
    let environment: Environment
    let lives: LifeTable
    let sharedMin: Int
    let defaultPlan: String
    let state = Guarded(State())
    /// Counts entities that got another key.
    private let keyChangesCount = Atomic<Int>(0)

    init(
        keyring: Keyring, keyBackups: KeyBackupKeeper, environment: Environment, settings: CatalogSettings,
        lives: LifeTable
    ) {
        self.keyBackups = keyBackups
        self.lives = lives
        self.keyring = keyring
        self.environment = environment
        sharedMin = settings.sharedByEntitiesMin
        defaultPlan = settings.defaultPlan
    }

    // MARK: Lookups

    func keyID(_ entity: UInt32) throws(Fault) -> UInt64 {
        let id = state.withLock { Int(entity) < $0.keyIDs.count ? $0.keyIDs[Int(entity)] : 0 }
        guard id != 0 else {
            throw Fault(.keyErased, "the entity's key is gone", at: .init(entity: entity))
        }
        return id
    }

    var keyChanges: Int { keyChangesCount.load(ordering: .acquiring) }
    func noteKeyChange() { keyChangesCount.add(1, ordering: .acquiringAndReleasing) }
    func entity(ofRetired keyID: UInt64) -> UInt32? { state.withLock { $0.retired[keyID] } }

    func number(ofEntity name: String) -> UInt32? { lookUp(name) { $0.entities.number($1) } }
    func number(ofType name: String) -> UInt32? { lookUp(name) { $0.types.number($1) } }
    func number(ofAttribute name: String) -> UInt32? { lookUp(name) { $0.attributes.number($1) } }

    private func lookUp(
        _ name: String, _ find: (borrowing State, UnsafeRawBufferPointer) -> UInt32?
    ) -> UInt32? {
        var name = name
        return name.withUTF8 { utf8 in state.withLock { find($0, UnsafeRawBufferPointer(utf8)) } }
    }

    func entityName(_ number: UInt32) -> String? { state.withLock { $0.entities.string(number) } }
    /// Calls `body` with the name of each entity, in order; with no bytes where there is none. Taking the lock once.
    func withEntityNames(_ numbers: [UInt32], _ body: (UnsafeRawBufferPointer) -> Void) {
        state.withLock { state in
            for number in numbers { body(state.entities.bytes(number) ?? UnsafeRawBufferPointer(start: nil, count: 0)) }
        }
    }
    func typeName(_ number: UInt32) -> String? { state.withLock { $0.types.string(number) } }
    func attributeName(_ number: UInt32) -> String? { state.withLock { $0.attributes.string(number) } }

    func names(of kind: NameKind) -> [String] {
        state.withLock { state in
            switch kind {
            case .entity: NameTable.all(state.entities)
            case .type: NameTable.all(state.types)
            case .attribute: NameTable.all(state.attributes)
            }
        }.sorted()
    }

    private static func all(_ list: borrowing NameList) -> [String] {
        var names: [String] = []
        for number in 0..<list.count {
            if let name = list.string(UInt32(number)) { names.append(name) }
        }
        return names
    }

    var counts: (entities: Int, types: Int, attributes: Int) {
        state.withLock { ($0.keyIDs.count { $0 != 0 }, $0.types.count, $0.attributes.count) }
    }

    /// Another process rewrote the keyring: keys that are gone are gone here as well.
    func keyringChanged() {
        state.withLock { state in
            for number in state.keyIDs.indices where state.keyIDs[number] != 0 {
                if keyring.tombstone(state.keyIDs[number]) != nil { NameTable.forget(UInt32(number), &state) }
            }
        }
    }

    /// By attribute number: whether its values may name a person.
    func personalAttributes() -> [Bool] {
        state.withLock { state in
            (0..<state.attributes.count).map { number in
                state.attributes.string(UInt32(number)).map { PersonalNames.isPersonal($0) } ?? true
            }
        }
    }

    // MARK: Saving

    var unsaved: UnsavedNames { state.withLock { $0.unsaved } }

    /// Forgets what a commit has stored: the first elements of each list.
    func saved(_ stored: UnsavedNames) {
        state.withLock { state in
            state.unsaved.entities.removeFirst(stored.entities.count)
            state.unsaved.names.removeFirst(stored.names.count)
            state.unsaved.holders.removeFirst(stored.holders.count)
            state.unsaved.shares.removeFirst(stored.shares.count)
        }
    }
}

// MARK: - Loading

extension NameTable {
    /// Reads all names, or in a reader what another process added since.
    func load(_ reader: CatalogReader) throws(Fault) {
        let entities = try reader.entities()
        let names = try reader.names()
        let holders = try reader.holders()
        let retired = try reader.retiredKeys().map { ($0.id, $0.entity) }
        try lives.load(reader, entities)
        try state.withLock { (state) throws(Fault) in
            let context = XAESContext()
            state.retired = Dictionary(retired) { first, _ in first }
            for record in entities {
                if Int(record.number) >= state.entities.count {
                    try load(record, context, &state)
                } else {
                    try reload(record, context, &state)
                }
            }
            var boxes: [UInt64: [NameHolder]] = [:]
            for holder in holders { boxes[NameTable.boxKey(holder.kind, holder.name), default: []].append(holder) }
            for record in names {
                let found = boxes[NameTable.boxKey(record.kind, record.number)] ?? []
                try load(record, holders: found, context, &state)
            }
        }
    }

    private static func boxKey(_ kind: Int, _ number: UInt32) -> UInt64 { UInt64(kind) << 32 | UInt64(number) }

    private func load(
        _ record: EntityRecord, _ context: XAESContext, _ state: inout State
    ) throws(Fault) {
        while state.keyIDs.count <= Int(record.number) { state.keyIDs.append(0) }
        // Whatever the keyring says: an erasure that has begun is never taken back.
        if record.isErased { return state.entities.set(nil, at: record.number) }
        do throws(Fault) {
            let key = try keyring.entityKey(record.keyID)
            let name = try context.openBox(
                key: key, aad: NameSealing.entity(record.number), box: record.sealedName)
            state.keyIDs[Int(record.number)] = record.keyID
            state.entities.set(name, at: record.number)
        } catch {
            guard error.code == .keyErased else { throw error.at(entity: record.number) }
            state.entities.set(nil, at: record.number)
        }
    }

    /// A record that another process changed since: renamed or erased.
    private func reload(_ record: EntityRecord, _ context: XAESContext, _ state: inout State) throws(Fault) {
        let number = Int(record.number)
        if record.isErased {
            if state.entities.bytes(record.number) != nil { NameTable.forget(record.number, &state) }
            return
        }
        guard number < state.keyIDs.count, state.keyIDs[number] != 0 else { return }
        state.keyIDs[number] = record.keyID
        let name = try context.openBox(
            key: keyring.entityKey(record.keyID), aad: NameSealing.entity(record.number), box: record.sealedName)
        let known = state.entities.bytes(record.number).map { [UInt8]($0) }
        if known != name { state.entities.replace(record.number, with: name) }
    }

    private func load(
        _ record: NameRecord, holders: [NameHolder], _ context: XAESContext, _ state: inout State
    ) throws(Fault) {
        guard let kind = StoredNameKind(rawValue: record.kind) else {
            throw Fault(.damaged, "the catalog has a name of unknown kind \(record.kind)")
        }
        var name: [UInt8]?
        if let box = record.shared {
            name = try context.openBox(
                key: keyring.subkey(.names), aad: NameSealing.shared(kind, record.number), box: box)
        } else {
            for holder in holders {
                guard Int(holder.entity) < state.keyIDs.count, state.keyIDs[Int(holder.entity)] != 0 else { continue }
                let key = try keyring.entityKey(state.keyIDs[Int(holder.entity)])
                name = try context.openBox(
                    key: key, aad: NameSealing.holder(kind, record.number, holder.entity), box: holder.sealed)
                break
            }
        }
        // In a reader the record may have been loaded before, with other holders.
        for holder in state.holding(kind, record.number) { state.count(kind, holder, -1) }
        let using = record.shared == nil ? Set(holders.map(\.entity)) : nil
        for holder in using ?? [] { state.count(kind, holder, 1) }
        state.set(kind, record.number, name, holders: using)
    }
}

extension NameTable.State {
    mutating func set(_ kind: StoredNameKind, _ number: UInt32, _ name: [UInt8]?, holders using: Set<UInt32>?) {
        switch kind {
        case .type:
            types.set(name, at: number)
            NameTable.State.put(using, at: Int(number), in: &holders)
        case .attribute:
            attributes.set(name, at: number)
            NameTable.State.put(using, at: Int(number), in: &attributeHolders)
        }
    }

    /// Who holds a name that is not shared.
    func holding(_ kind: StoredNameKind, _ number: UInt32) -> Set<UInt32> {
        let list = kind == .type ? holders : attributeHolders
        return Int(number) < list.count ? list[Int(number)] ?? [] : []
    }

    mutating func count(_ kind: StoredNameKind, _ entity: UInt32, _ change: Int) {
        switch kind {
        case .type: heldTypes[entity, default: 0] += change
        case .attribute: heldAttributes[entity, default: 0] += change
        }
    }

    private static func put(_ using: Set<UInt32>?, at index: Int, in list: inout [Set<UInt32>?]) {
        while list.count <= index { list.append(nil) }
        list[index] = using
    }
}

/// The additional data of sealed names: a box cannot be moved to another name, kind or entity.
enum NameSealing {
    static func entity(_ number: UInt32) -> [UInt8] { data("entity", 0, number, 0) }
    static func shared(_ kind: StoredNameKind, _ number: UInt32) -> [UInt8] { data("name", kind.rawValue, number, 0) }
    static func holder(_ kind: StoredNameKind, _ number: UInt32, _ entity: UInt32) -> [UInt8] {
        data("held", kind.rawValue, number, entity)
    }

    static func document(_ name: String) -> [UInt8] { data("document." + name, 0, 0, 0) }

    private static func data(_ label: String, _ kind: Int, _ number: UInt32, _ entity: UInt32) -> [UInt8] {
        var writer = ByteWriter()
        writer.lengthPrefixed(label)
        writer.u8(UInt8(kind))
        writer.integer(number)
        writer.integer(entity)
        return writer.bytes
    }
}
