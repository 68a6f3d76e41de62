// The store that an export of format `store` becomes, while it is built: keys of its own, the segments written so far,
// and the catalog that says what there is.
//
// Entities get new numbers in the order of the old ones, so that how many others there are does not show. Numbers of
// types and attributes stay, because blocks that are copied have them inside. All names are sealed under the key of
// names: nothing is ever erased from an export, so nothing needs a key of its own for that.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation
import Synchronization

/// `@unchecked Sendable`: what changes is behind `state`, and the catalog's builder is used with it held.
final class ExportedStore: @unchecked Sendable {
    private struct State {
        var types: Set<UInt32> = []
        var attributes: Set<UInt32> = []
        var tally = ExportTally()
        /// By number here: when it was last heard of.
        var lastEvents: [UInt32: Int64] = [:]
        var directories: Set<Int64> = []
        var files: [ExportManifest.File] = []
        var bytes = 0
    }

    let writing: SegmentWriting
    let storeID: [UInt8]
    private let files: StoreFiles
    private let source: ReadContext
    private let keyring: Keyring
    /// Has the keys of the entities, by their numbers here, and nothing else.
    private let keys: NameTable
    private let builder: CatalogBuilder
    /// Numbers in the source, ascending; the place is the number here.
    private let entities: [UInt32]
    private let numbers: [UInt32: UInt32]
    private let state = Mutex(State())

    /// Makes keys and an empty catalog in a directory that is there.
    init(
        _ source: ReadContext, at root: String, secret: RootSecret, entities: [UInt32]
    ) throws(Fault) {
        let environment = source.environment
        self.source = source
        self.entities = entities
        numbers = Dictionary(uniqueKeysWithValues: entities.enumerated().map { ($0.element, UInt32($0.offset)) })
        files = StoreFiles(root: root)
        storeID = environment.random(16)
        try environment.files.makeDirectory(files.segments)
        // Synced with all the rest.
        var unsynced = environment
        unsynced.files = UnsyncedFiles(environment.files)
        keyring = try Keyring.create(path: files.keyring, environment: unsynced, storeID: storeID, secret: secret)
        let keyIDs = try keyring.addEntityKeys(entities.count)
        var incarnation: UInt64 = 0
        withUnsafeMutableBytes(of: &incarnation) { environment.randomBytes($0) }
        let settings = CatalogSettings(
            formatVersion: Catalog.formatVersion, storeID: storeID, incarnation: incarnation,
            partition: source.settings.partition, sharedByEntitiesMin: source.settings.sharedByEntitiesMin,
            defaultPlan: source.settings.defaultPlan, createdMs: environment.nowMs())
        keys = NameTable(
            keyring: keyring, keyBackups: KeyBackupKeeper(keyring: keyring, environment: environment),
            environment: environment, settings: settings, lives: LifeTable(source.partition, keyring))
        keys.state.withLock { $0.keyIDs = keyIDs }
        builder = try CatalogBuilder(path: files.catalog, settings: settings)
        // Which values may be shared is told by the source's names: attributes have the same numbers here.
        writing = SegmentWriting(
            files: files, environment: environment, names: source.names, incarnation: incarnation,
            sharedMin: settings.sharedByEntitiesMin)
    }

    func makeSealer() -> StoreSealer { StoreSealer(keys) }
    var byteCount: Int { state.withLock { $0.bytes } }
    var tally: ExportTally { state.withLock { $0.tally } }
    var incarnation: UInt64 { writing.incarnation }
    func abandon() { builder.abandon() }

    /// The number here of an entity of the source.
    func number(_ entity: UInt32) throws(Fault) -> UInt32 {
        guard let number = numbers[entity] else {
            throw Fault(.cancelled, "an entity was added while the export began; try again")
        }
        return number
    }

    /// The directory of a partition. Nothing is there until all of the export is, so nothing is synced yet.
    func makeDirectory(_ partitionStart: Int64) throws(Fault) -> String {
        let path = files.directory(partitionStart: partitionStart)
        do throws(Fault) {
            if try source.environment.files.status(path) == nil { try source.environment.files.makeDirectory(path) }
        } catch {
            if error.code != .exists { throw error }
        }
        return path
    }

    /// Takes segments into the catalog.
    func add(_ segments: [WrittenSegment], sequenceBase: UInt64) throws(Fault) {
        var change = CatalogChange()
        var written: [ExportManifest.File] = []
        for segment in segments {
            written.append(try file(segment))
            change.addSegments.append(
                (
                    CatalogSegment(segment, sequenceBase: sequenceBase),
                    segment.summary.entities.map { CatalogSegmentEntity($0) }
                ))
            change.entityDayDeltas += segment.entityDays
            change.typeDayDeltas += segment.typeDays
        }
        let added = (change, written)
        try state.withLock { (state) throws(Fault) in
            try builder.add(added.0)
            state.files += added.1
            for segment in segments { note(segment, &state) }
        }
    }

    private func note(_ segment: WrittenSegment, _ state: inout State) {
        state.bytes += segment.summary.fileBytes
        state.directories.insert(segment.summary.partitionStart)
        state.types.formUnion(segment.summary.typeNumbers)
        state.attributes.formUnion(segment.summary.attributeNumbers)
        for day in segment.entityDays {
            state.tally.add(entity: entities[Int(day.key)], day: Int64(day.day), rows: day.rows)
        }
        for entry in segment.summary.entities {
            state.lastEvents[entry.entity] = max(state.lastEvents[entry.entity] ?? .min, entry.maxTime)
        }
    }

    private func file(_ segment: WrittenSegment) throws(Fault) -> ExportManifest.File {
        let path = files.segment(segment.summary.id, partitionStart: segment.summary.partitionStart)
        return try file(path, events: segment.summary.rows)
    }

    private func file(_ path: String, events: Int) throws(Fault) -> ExportManifest.File {
        let (bytes, sha256) = try FileBytes.sha256(path, source.environment.files)
        return ExportManifest.File(
            path: String(path.dropFirst(files.root.count + 1)), bytes: bytes, sha256: sha256, events: events)
    }

    // MARK: The end

    /// Writes what is left of the catalog, makes everything durable, and says what files there are.
    ///
    /// - Parameter keepsIdle: whether entities without events are there as well.
    func finish(_ info: ExportInfo, keepsIdle: Bool) throws(Fault) -> [ExportManifest.File] {
        try builder.add(try lastChange(info, keepsIdle: keepsIdle))
        try builder.finish()
        let (segments, directories) = state.withLock { ($0.files, Array($0.directories)) }
        try sync(
            segments.map { Path.join(files.root, $0.path) } + [files.catalog, files.keyring],
            directories.map { files.directory(partitionStart: $0) } + [files.segments])
        return [try file(files.catalog, events: 0), try file(files.keyring, events: 0)]
            + segments.sorted { $0.path < $1.path }
    }

    /// Many at a time: a file system writes its journal once for those that wait together.
    private static let syncThreads = 16

    private func sync(_ paths: [String], _ directories: [String]) throws(Fault) {
        let system = source.environment.files
        let count = paths.count + directories.count
        try Workers.run(count, threads: ExportedStore.syncThreads) { (index) throws(Fault) in
            guard index < paths.count else { return try system.syncDirectory(directories[index - paths.count]) }
            let file = try system.openForUpdate(paths[index])
            defer { file.close() }
            try file.sync()
        }
    }

    private func lastChange(_ info: ExportInfo, keepsIdle: Bool) throws(Fault) -> CatalogChange {
        let environment = source.environment
        var change = CatalogChange()
        let records = try entityRecords(keepsIdle: keepsIdle)
        change.addEntities = records
        let plans = try source.catalog.read { (reader) throws(Fault) in try reader.plans() }
        let used = Set(records.map(\.plan) + [source.settings.defaultPlan])
        change.setPlans = plans.filter { used.contains($0.name) }
        let (types, attributes) = state.withLock { ($0.types.sorted(), $0.attributes.sorted()) }
        change.addNames =
            try types.map { (number) throws(Fault) in
                try name(.type, number, source.names.typeName(number))
            }
            + attributes.map { (number) throws(Fault) in
                try name(.attribute, number, source.names.attributeName(number))
            }
        change.tallies = try tallies(records, all: keepsIdle)
        change.nextSequence = info.nextSequence
        change.keyringGeneration = keyring.generation
        let chain = AuditChain(keyring: keyring, environment: environment)
        let entry = AuditEntry(
            operation: "export", entity: nil, blindName: nil, reason: nil,
            details: ["format": "store", "events": "\(info.events)"], actor: .unnamed)
        change.addAudit = [try chain.link(entry, after: nil)]
        change.setDocuments[ExportInfo.documentName] = try SealedValue.seal(
            try info.encoded(), key: keyring.subkey(.names), aad: ReadContext.aad(document: ExportInfo.documentName),
            environment)
        return change
    }

    private func entityRecords(keepsIdle: Bool) throws(Fault) -> [EntityRecord] {
        let seen = Set(state.withLock { $0.lastEvents.keys })
        var records: [EntityRecord] = []
        for (place, entity) in entities.enumerated() where keepsIdle || seen.contains(UInt32(place)) {
            let number = UInt32(place)
            guard var record = source.names.lives.record(entity), !record.isErased,
                let name = source.names.entityName(entity)
            else {
                throw Fault(.keyErased, "an entity was erased while it was exported; try again")
            }
            let bytes = Array(name.utf8)
            record.number = number
            record.keyID = try keys.keyID(number)
            record.sealedName = try SealedValue.seal(
                bytes, key: keyring.entityKey(record.keyID), aad: NameSealing.entity(number), source.environment)
            record.tag = keys.entityTag(bytes)
            records.append(record)
        }
        return records
    }

    private func name(_ kind: StoredNameKind, _ number: UInt32, _ name: String?) throws(Fault) -> NameRecord {
        guard let name else { throw Fault(.damaged, "the name of a type or attribute is missing") }
        let bytes = Array(name.utf8)
        let sealed = try SealedValue.seal(
            bytes, key: keyring.subkey(.names), aad: NameSealing.shared(kind, number), source.environment)
        let tag = bytes.withUnsafeBytes { keys.nameTag(kind == .type ? "type" : "attribute", $0) }
        return NameRecord(number: number, kind: kind.rawValue, tag: tag, shared: sealed)
    }

    /// All the source knows of the entities, or of a part of their events the time of the last one.
    private func tallies(_ records: [EntityRecord], all: Bool) throws(Fault) -> [EntityTally] {
        let last = state.withLock { $0.lastEvents }
        var tallies: [UInt32: EntityTally] = [:]
        for record in records {
            tallies[record.number] = EntityTally(entity: record.number, lastEventMs: last[record.number] ?? .min)
        }
        guard all else { return tallies.values.sorted { $0.entity < $1.entity } }
        for known in try source.catalog.read({ (reader) throws(Fault) in try reader.tallies() }) {
            guard let number = numbers[known.entity], let mine = tallies[number] else { continue }
            var tally = known
            tally.entity = number
            tally.lastEventMs = max(tally.lastEventMs, mine.lastEventMs)
            tallies[number] = tally
        }
        return tallies.values.sorted { $0.entity < $1.entity }
    }
}
