// An export that is a store: segments copied under new keys where all of an entity's part is wanted, written anew where
// it is not.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreQuery
import EventStoreSegments
import Foundation
import Synchronization

/// One export. `@unchecked Sendable`: what its threads change is behind `progress` and in `ExportedStore`.
final class StoreExport: @unchecked Sendable {
    private let engine: StoreEngine
    private let request: ExportRequest
    private let snapshot: Published
    private let filter: RowFilter?
    private let sequences: Range<UInt64>
    private let cutMs: Int64
    private let progress: Mutex<ExportMeter>

    private var context: ReadContext { engine.context }

    /// Rows written anew that are held at a time, by each thread.
    private static let groupRows = 262_144

    init(
        _ engine: StoreEngine, _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)?
    ) throws(Fault) {
        self.engine = engine
        self.request = request
        cutMs = engine.context.environment.nowMs()
        snapshot = try engine.snapshot()
        filter = try engine.context.names.compile(request.filter)
        let end = snapshot.nextSequence
        sequences = min(request.fromSequence ?? 0, end)..<end
        self.progress = Mutex(ExportMeter(progress))
    }

    func run() throws(Fault) -> ExportReport {
        let start = ContinuousClock.now
        guard case .path(let path) = request.destination else {
            throw Fault(.invalid, "an export of format store is a directory and needs a path")
        }
        let secret = try recipientSecret()
        let target = try ExportTarget(
            context.environment.files, path, isDirectory: true, replaces: request.replacesExisting)
        var store: ExportedStore?
        do throws(Fault) {
            let made = try ExportedStore(context, at: target.temporary, secret: secret, entities: entities())
            store = made
            try write(made)
            // In a reader this brings names and keys up to date: what was erased meanwhile must not leave.
            _ = try engine.snapshot()
            var report = try finish(made)
            try engine.record(request, events: report.events)
            report.manifestPath = try target.publish(
                StoreManifest(report.manifest, expiresMs: request.expiresMs).text)
            report.seconds = (ContinuousClock.now - start) / .seconds(1)
            progress.withLock { $0.tellEnd(events: report.events, bytes: report.bytes) }
            return report
        } catch {
            store?.abandon()
            target.discard()
            throw error
        }
    }

    /// The key that will open the export, which must not be one that opens this store.
    private func recipientSecret() throws(Fault) -> RootSecret {
        guard let source = request.recipientKey else {
            throw Fault(.invalid, "an export of format store needs a key of its own: set recipientKey")
        }
        if let expires = request.expiresMs, expires <= cutMs {
            throw Fault(.invalid, "the export would have expired before it is written")
        }
        let secret = try source.secret(context.environment)
        // A passphrase is a choice of the user; trying it would cost as much as opening the store.
        guard case .key = secret else { return secret }
        let opened = try? Keyring.open(path: context.files.keyring, environment: context.environment, secret: secret)
        guard opened == nil else {
            throw Fault(.invalid, "this key opens the store itself; give the export one of its own")
        }
        return secret
    }

    /// Entities that may have events in the export, by their numbers.
    private func entities() -> [UInt32] {
        guard let filter else { return [] }
        let names = context.names
        let wanted = filter.entities ?? names.lives.records.map(\.number)
        return wanted.filter { number in
            names.lives.record(number)?.isErased == false && names.entityName(number) != nil
        }
    }

    /// Whether all that is known of the entities goes along, or only what their exported events tell.
    private var isOfWholeEntities: Bool {
        request.fromSequence == nil && request.filter.types.isEmpty && request.filter.since == nil
            && request.filter.until == nil && request.filter.conditions.isEmpty
    }

    private func check() throws(Fault) {
        if request.isCancelled?() == true { throw Fault(.cancelled, "the export was cancelled; nothing of it is left") }
        try engine.requireOpen()
    }

    // MARK: Rows

    private func write(_ store: ExportedStore) throws(Fault) {
        guard let filter else { return }
        let plan = StoreExportPlan(engine, filter, snapshot, sequences: sequences)
        progress.withLock { $0.rowsExpected = plan.rowsExpected }
        let threads = max(1, context.threads)
        try Workers.run(threads, threads: threads) { [self] (_) throws(Fault) in
            let copier = SegmentCopier(
                source: StoreSealer(context.names), target: store.makeSealer(), environment: context.environment)
            while let unit = try plan.next() {
                try check()
                switch unit {
                case .copy(let handle, let reader, let entries): try copy(handle, reader, entries, copier, store)
                case .encode(let key, let length, let items): try encode(key, length, items, store)
                }
                progress.withLock { $0.passed(rows: unit.rowCount, events: unit.rowCount, bytes: store.byteCount) }
            }
        }
    }

    private func copy(
        _ handle: SegmentHandle, _ reader: SegmentReader, _ entries: [SegmentEntityEntry], _ copier: SegmentCopier,
        _ store: ExportedStore
    ) throws(Fault) {
        var numbers: [UInt32] = []
        for entry in entries { numbers.append(try store.number(entry.entity)) }
        let directory = try store.makeDirectory(handle.info.partitionStart)
        let isDaily = context.partition == .day
        let copied = try copier.copy(
            reader,
            SegmentCopy(
                entries: entries, numbers: numbers, countsDays: !isDaily, storeIncarnation: store.incarnation,
                createdMs: cutMs),
            directory: directory)
        let totals: DayTotals
        if isDaily {
            totals = DayTotals(copied.summary)
        } else {
            let news = Dictionary(uniqueKeysWithValues: zip(entries.map(\.entity), numbers))
            totals = DayTotals(copied.days) { news[$0] ?? $0 }
        }
        let written = WrittenSegment(
            summary: copied.summary, level: handle.info.level, retentionDays: handle.info.retentionDays,
            entityDays: totals.entities, typeDays: totals.types)
        try store.add([written], sequenceBase: handle.info.sequenceBase)
    }

    private func encode(
        _ key: PartitionKey, _ length: Int64, _ items: [ExportItem], _ store: ExportedStore
    ) throws(Fault) {
        let reader = ExportReader(context, sequences)
        let writer = SegmentWriter(sealer: store.makeSealer(), environment: context.environment)
        var batches: [RowBatch] = []
        var rows = 0
        for item in items {
            try reader.read(item) { (batch) throws(Fault) in
                try check()
                batches.append(batch)
                rows += batch.rowCount
                guard rows >= StoreExport.groupRows else { return }
                try encode(batches, key, length, writer, store)
                batches = []
                rows = 0
            }
        }
        if rows > 0 { try encode(batches, key, length, writer, store) }
    }

    private func encode(
        _ batches: [RowBatch], _ key: PartitionKey, _ length: Int64, _ writer: SegmentWriter, _ store: ExportedStore
    ) throws(Fault) {
        let refs = PartitionRefs(key, length: length)
        var base = UInt64.max
        for (number, batch) in batches.enumerated() {
            batch.entityNumbers = try batch.entityNumbers.map { (entity) throws(Fault) in try store.number(entity) }
            refs.append(batch: UInt32(number), rows: 0..<batch.rowCount)
            base = min(base, batch.sequence.buffer.min() ?? .max)
        }
        refs.sort(batches)
        _ = try store.makeDirectory(key.start)
        let written = try store.writing.write(
            refs, of: BatchColumns(batches), level: 0,
            options: store.writing.options(highCompression: false, sequenceBase: base), writer: writer)
        try store.add(written, sequenceBase: base)
    }

    // MARK: The end

    private func finish(_ store: ExportedStore) throws(Fault) -> ExportReport {
        let tally = store.tally
        let filter = ExportManifest.Filter(request.filter)
        let info = ExportInfo(
            source: context.settings.storeID.hexText, createdMs: cutMs, fromSequence: request.fromSequence,
            nextSequence: sequences.upperBound, filter: filter, events: tally.events, expiresMs: request.expiresMs)
        let list = try store.finish(info, keepsIdle: isOfWholeEntities)
        let manifest = ExportManifest(
            format: "store", store: store.storeID.hexText, created: TimestampText.utc(cutMs),
            fromSequence: request.fromSequence, nextSequence: sequences.upperBound, filter: filter,
            events: tally.events, entities: tally.entities(context.names), files: list)
        return ExportReport(manifest: manifest, manifestPath: nil, seconds: 0)
    }
}

extension DayTotals {
    /// Of a segment whose partition is one day: its index says all.
    init(_ summary: SegmentSummary) {
        let day = Int32(truncatingIfNeeded: CivilDate.day(ms: summary.partitionStart))
        var byType: [UInt32: Int] = [:]
        for entry in summary.entities {
            entities.append(DayCount(day: day, key: entry.entity, rows: entry.rows))
            for type in entry.types { byType[type.type, default: 0] += type.rows }
        }
        types = byType.sorted { $0.key < $1.key }.map { DayCount(day: day, key: $0.key, rows: $0.value) }
    }

    /// - Parameter number: what an entity is called now.
    init(_ days: [DayRows: Int], number: (UInt32) -> UInt32) {
        var byEntity: [UInt64: Int] = [:]
        var byType: [UInt64: Int] = [:]
        for (key, rows) in days {
            byEntity[DayTotals.key(key.day, number(key.entity)), default: 0] += rows
            byType[DayTotals.key(key.day, key.type), default: 0] += rows
        }
        entities = DayTotals.sorted(byEntity)
        types = DayTotals.sorted(byType)
    }
}
