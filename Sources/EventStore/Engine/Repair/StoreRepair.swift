// Repair: finds what is damaged, moves it into quarantine, and writes what is left of it anew.
//
// The order keeps what can still be read safe at every moment: new files are durable before the catalog names them;
// one commit exchanges new for old; only then does the old file move. Cut short, the next repair goes on: an old file
// that did not move yet is one that no catalog row names.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation

/// One repair. Belongs to the thread that runs it.
final class StoreRepair {
    let files: StoreFiles
    let environment: Environment
    private let source: KeySource
    private let secret: RootSecret
    private let options: OpenOptions
    let dryRun: Bool
    var report = RepairReport()
    /// Where things go; made when the first one does.
    private var quarantine: String?

    init(
        at path: String, key: KeySource, options: OpenOptions, environment: Environment, dryRun: Bool
    ) throws(Fault) {
        files = StoreFiles(root: path)
        self.environment = environment
        source = key
        var options = options
        options.sweepsAutomatically = false
        self.options = options
        self.dryRun = dryRun
        report.dryRun = dryRun
        try StoreEngine.checkIsStore(files, environment)
        secret = try key.secret(environment)
    }

    /// Whether an error tells of damage, which can be worked around, and not of work that cannot be done now.
    static func isDamage(_ fault: Fault) -> Bool {
        [.damaged, .tampered, .notFound, .keyErased, .tooNew, .limit].contains(fault.code)
    }

    func run(_ progress: (@Sendable (Double) -> Void)?) throws(Fault) -> RepairReport {
        let start = ContinuousClock.now
        let keyring = try Keyring.open(path: files.keyring, environment: environment, secret: secret)
        try files.requireWritable(environment)
        let lock = try StoreEngine.takeLock(files, environment)
        var isHeld = true
        defer { if isHeld { lock.release() } }
        try finishExchange(files, environment)
        guard try repairCatalog() else { return report }
        let room = StoreRoom(files, environment)
        if dryRun {
            let catalog = try Catalog.open(path: files.catalog, mode: .reader)
            defer { catalog.close() }
            let context = try StoreEngine.readContext(files, catalog, keyring, options, environment, room)
            _ = try Recovery(context).checkKeyring()
            try plan(context, progress)
        } else {
            let catalog = try Catalog.open(path: files.catalog, mode: .writer)
            do throws(Fault) {
                let context = try StoreEngine.readContext(files, catalog, keyring, options, environment, room)
                // With an older one what is sealed under newer keys would pass for damaged.
                _ = try Recovery(context).checkKeyring()
                try moveJournal(context)
                try moveStrangers(context)
            } catch {
                catalog.close()
                throw error
            }
            let engine = try StoreEngine.assemble(
                files, catalog, keyring, lock, options, environment, source, room)
            isHeld = false
            try finish(engine, progress)
        }
        report.eventsLost = report.losses.reduce(0) { $0 + $1.rows }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    private func finish(_ engine: StoreEngine, _ progress: (@Sendable (Double) -> Void)?) throws(Fault) {
        do throws(Fault) {
            try rewrite(engine, progress)
            try correctTotals(engine)
            try audit(engine)
            report.holesLeft = try engine.verify(quick: false, progress: nil).holes.map { "\($0.file): \($0.message)" }
        } catch {
            try? engine.close()
            throw error
        }
        try engine.close()
    }

    // MARK: Quarantine

    func quarantineDirectory() throws(Fault) -> String {
        if let quarantine { return quarantine }
        let stamp = TimestampText.utc(environment.nowMs()).filter { $0 != ":" }
        var path = Path.join(files.quarantine, stamp)
        if try environment.files.status(files.quarantine) == nil {
            try environment.files.makeDirectory(files.quarantine)
            try environment.files.syncDirectory(files.root)
        }
        var number = 1
        while try environment.files.status(path) != nil {
            number += 1
            path = Path.join(files.quarantine, "\(stamp)-\(number)")
        }
        try environment.files.makeDirectory(path)
        try environment.files.syncDirectory(files.quarantine)
        quarantine = path
        return path
    }

    /// Moves a file of the segments out of the way.
    private func move(_ path: String, _ message: String) throws(Fault) {
        guard !dryRun else {
            report.quarantined.append(.init(file: path, to: nil, message: message))
            return
        }
        guard try environment.files.status(path) != nil else { return }
        let day = Path.name(Path.parent(path))
        let target = Path.join(try quarantineDirectory(), "\(day)_\(Path.name(path))")
        try environment.files.rename(path, to: target)
        try environment.files.syncDirectory(Path.parent(target))
        try environment.files.syncDirectory(Path.parent(path))
        report.quarantined.append(.init(file: path, to: target, message: message))
    }

    // MARK: The journal

    /// An entry that does not decode, and what can be read of it.
    private struct BadEntry {
        var entry: JournalEntry
        var rows: RowBatch
        var message: String
    }

    /// Puts what can be read of such entries in their place, so that the store opens again.
    private func moveJournal(_ context: ReadContext) throws(Fault) {
        let bad = try badEntries(context)
        guard !bad.isEmpty else { return }
        let directory = try quarantineDirectory()
        let encoder = JournalEncoder(StoreSealer(context.names))
        var change = CatalogChange()
        var left: [JournalEntry] = []
        for bad in bad {
            let first = bad.entry.firstSequence
            let path = Path.join(directory, "journal-\(first).blob")
            try environment.files.replace(path, with: bad.entry.blob)
            change.deleteJournal.append(first)
            // A repeat of such a batch is not answered from memory, but stored.
            change.dropBatchesReceived.append(bad.entry.receivedMs)
            report.quarantined.append(.init(file: files.catalog, to: path, message: bad.message))
            guard bad.rows.rowCount > 0 else { continue }
            let blob = try encoder.encode(bad.rows, context.binding(firstSequence: first))
            left.append(
                JournalEntry(
                    firstSequence: first, rows: bad.rows.rowCount, receivedMs: bad.entry.receivedMs, blob: blob))
        }
        change.journal = left
        _ = try context.catalog.commit(change)
    }

    private func badEntries(_ context: ReadContext) throws(Fault) -> [BadEntry] {
        let entries = try context.catalog.read { (reader) throws(Fault) in
            try context.names.load(reader)
            return try reader.journal(from: 0)
        }
        let decoder = JournalDecoder(StoreSealer(context.names))
        var bad: [BadEntry] = []
        for entry in entries {
            let binding = context.binding(firstSequence: entry.firstSequence)
            do throws(Fault) {
                let rows = try decoder.decode(entry.blob, binding, received: entry.receivedMs)
                // Rows of erased entities are no longer there.
                guard rows.rowCount == entry.rows || !context.keyring.tombstones().isEmpty else {
                    throw Fault(.damaged, "\(rows.rowCount) rows instead of \(entry.rows)")
                }
            } catch {
                guard StoreRepair.isDamage(error) else { throw error }
                let (rows, lost) = decoder.salvage(entry.blob, binding, received: entry.receivedMs)
                let message = "journal entry \(entry.firstSequence): \(error.message)"
                bad.append(BadEntry(entry: entry, rows: rows, message: message))
                report.eventsSaved += rows.rowCount
                lose(entry, entry.rows - rows.rowCount, lost.map { ($0.entity, $0.rows) }, message, context)
            }
        }
        return bad
    }

    /// Whose the lost rows were is said by headers that nothing vouches for: they are believed if they add up.
    private func lose(
        _ entry: JournalEntry, _ rows: Int, _ parts: [(entity: UInt32, rows: Int)], _ message: String,
        _ context: ReadContext
    ) {
        guard rows > 0 else { return }
        func loss(_ entity: String?, _ rows: Int) -> RepairReport.Loss {
            .init(file: files.catalog, entity: entity, since: nil, until: nil, rows: rows, message: message)
        }
        let names = parts.compactMap { context.names.entityName($0.entity) }
        guard names.count == parts.count, parts.reduce(0, { $0 + $1.rows }) == rows else {
            return report.losses.append(loss(nil, rows))
        }
        for (name, part) in zip(names, parts) { report.losses.append(loss(name, part.rows)) }
    }

    // MARK: Segments

    private func plan(_ context: ReadContext, _ progress: (@Sendable (Double) -> Void)?) throws(Fault) {
        for bad in try badEntries(context) {
            report.quarantined.append(.init(file: files.catalog, to: nil, message: bad.message))
        }
        try moveStrangers(context)
        let segments = try context.catalog.read { (reader) throws(Fault) in try reader.segments(overlapping: nil) }
        for (number, info) in segments.enumerated() where info.state == CatalogSegment.live {
            let handle = try SegmentHandle(info, files: files)
            let salvage = SegmentSalvage(context, handle)
            if let finding = try salvage.finding() {
                try salvage.salvage { _ in }
                try note(salvage, handle, finding)
            }
            progress?(Double(number + 1) / Double(segments.count))
        }
    }

    private func note(_ salvage: SegmentSalvage, _ handle: SegmentHandle, _ finding: Fault) throws(Fault) {
        report.segmentsDamaged += 1
        report.eventsSaved += salvage.saved
        report.losses += salvage.losses
        if try environment.files.status(handle.path) != nil { try move(handle.path, finding.message) }
    }

    private func rewrite(_ engine: StoreEngine, _ progress: (@Sendable (Double) -> Void)?) throws(Fault) {
        let lane = try engine.writer()
        engine.compaction.lock()
        engine.maintenance.lock()
        defer {
            engine.maintenance.unlock()
            engine.compaction.unlock()
        }
        let handles = lane.published.withLock { $0.segments.all }
        for (number, handle) in handles.enumerated() {
            let salvage = SegmentSalvage(engine.context, handle)
            if let finding = try salvage.finding() {
                try exchange(handle, for: try write(salvage, handle, engine), engine, lane)
                try note(salvage, handle, finding)
            }
            progress?(Double(number + 1) / Double(handles.count))
        }
    }

    /// Writes what is left of a segment into new ones, durably.
    private func write(
        _ salvage: SegmentSalvage, _ handle: SegmentHandle, _ engine: StoreEngine
    ) throws(Fault) -> [WrittenSegment] {
        let writing = engine.writing
        let writer = SegmentWriter(sealer: StoreSealer(engine.context.names), environment: environment)
        let segmentOptions = writing.options(highCompression: false, sequenceBase: handle.info.minSequence)
        var written: [WrittenSegment] = []
        do throws(Fault) {
            try salvage.salvage { (batch) throws(Fault) in
                let columns = BatchColumns([batch])
                for refs in PartitionSplit(columns, engine.context).partitions {
                    refs.sort([batch])
                    written += try writing.write(
                        refs, of: columns, level: 0, options: segmentOptions, writer: writer)
                }
            }
            try writing.syncDirectories(written)
        } catch {
            writing.discard(written)
            throw error
        }
        return written
    }

    private func exchange(
        _ old: SegmentHandle, for new: [WrittenSegment], _ engine: StoreEngine, _ lane: WriterLane
    ) throws(Fault) {
        try lane.exclusively { () throws(Fault) in
            var change = CatalogChange()
            for segment in new {
                change.addSegments.append(
                    (
                        CatalogSegment(segment, sequenceBase: old.info.minSequence),
                        segment.summary.entities.map { CatalogSegmentEntity($0) }
                    ))
            }
            change.removeSegments = [old.info.number]
            let result = try lane.commit(change)
            var handles: [SegmentHandle] = []
            for (index, added) in change.addSegments.enumerated() {
                var info = added.0
                info.number = result.segments[index]
                handles.append(try SegmentHandle(info, files: files))
            }
            let fresh = handles
            lane.published.withLock { $0.segments = $0.segments.replacing([old.info.number], with: fresh) }
        }
        engine.context.segmentFiles.forget(old.info.number)
        engine.context.columnCache.purge(segments: [old.info.number])
    }

    // MARK: Strangers

    /// Moves what lies among the segments and is in no catalog, before opening the store deletes what looks like its own.
    private func moveStrangers(_ context: ReadContext) throws(Fault) {
        let segments = try context.catalog.read { (reader) throws(Fault) in try reader.segments(overlapping: nil) }
        var known: Set<String> = []
        for info in segments { known.insert(try SegmentHandle(info, files: files).path) }
        for day in try environment.files.list(files.segments).sorted() {
            let directory = Path.join(files.segments, day)
            guard let status = try environment.files.status(directory), status.isDirectory else {
                try move(directory, "not a file of this store")
                continue
            }
            for name in try environment.files.list(directory).sorted() where !name.hasSuffix(".seg.tmp") {
                let path = Path.join(directory, name)
                if !known.contains(path) { try move(path, "no catalog row names this file") }
            }
        }
    }

    // MARK: Totals and audit

    private func correctTotals(_ engine: StoreEngine) throws(Fault) {
        let lane = try engine.writer()
        engine.maintenance.lock()
        defer { engine.maintenance.unlock() }
        var totals = TotalsCount(engine.context)
        for handle in lane.published.withLock({ $0.segments.all }) { try totals.add(handle) }
        let counted = totals
        try lane.inTurn { () throws(Fault) in
            var change = CatalogChange()
            (change.entityDayDeltas, change.typeDayDeltas) = try counted.deltas()
            let count = change.entityDayDeltas.count + change.typeDayDeltas.count
            guard count > 0 else { return }
            // What was lost is no wrong number.
            if report.losses.isEmpty { report.totalsCorrected = count }
            _ = try lane.commit(change)
        }
    }

    private func audit(_ engine: StoreEngine) throws(Fault) {
        guard !report.wasSound else { return }
        let lane = try engine.writer()
        let lost = report.losses.reduce(0) { $0 + $1.rows }
        try lane.exclusively { () throws(Fault) in
            var change = CatalogChange()
            try lane.record(
                [
                    AuditEntry(
                        operation: "repair", entity: nil, blindName: nil, reason: nil,
                        details: [
                            "segments": "\(report.segmentsDamaged)", "saved": "\(report.eventsSaved)",
                            "lost": "\(lost)", "quarantined": "\(report.quarantined.count)",
                        ], actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
    }
}
