// Checking a store: every byte of every file, and that files and catalog say the same.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import EventStoreSegments
import Foundation
import Synchronization

extension StoreEngine {
    func verify(quick: Bool, progress: (@Sendable (Double) -> Void)?) throws(Fault) -> VerifyReport {
        let start = ContinuousClock.now
        // All that is there, also what expired and waits for the sweep.
        let snapshot = try stored()
        let result = Mutex(VerifyReport())
        let check = StoreCheck(engine: self, snapshot: snapshot)
        let holes = try check.surroundings(quick: quick)
        result.withLock { $0.holes += holes }
        let handles = snapshot.segments.all
        let done = Atomic<Int>(0)
        try Workers.run(handles.count, threads: context.threads) { (index) throws(Fault) in
            let part = check.segment(handles[index], quick: quick)
            result.withLock { report in
                report.segments += 1
                report.blocks += part.blocks
                report.events += part.events
                report.bytes += part.bytes
                report.holes += part.holes
            }
            progress?(Double(done.add(1, ordering: .relaxed).newValue) / Double(handles.count))
        }
        var report = result.withLock { $0 }
        report.events += snapshot.memory.reduce(0) { $0 + $1.rows.rowCount }
        if context.export != nil {
            report.holes += try StoreManifest.holes(
                context, events: report.events, quick: quick, known: Set(report.holes.map(\.file)))
        }
        report.holes.sort { ($0.file, $0.since ?? 0) < ($1.file, $1.since ?? 0) }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }
}

/// The checks of one `verify`.
private struct StoreCheck: Sendable {
    let engine: StoreEngine
    let snapshot: Published

    private var context: ReadContext { engine.context }

    // MARK: Keyring, catalog, strangers

    func surroundings(quick: Bool) throws(Fault) -> [Hole] {
        var holes: [Hole] = []
        if let fault = keyringFault() { holes.append(Hole(file: context.files.keyring, message: fault.message)) }
        holes += try catalogHoles(quick: quick)
        return holes + journalHoles() + (try strangers())
    }

    /// A page that does not match its checksum ends SQLite's transaction, which then counts as cancelled: a
    /// finding as well, not a failure to look.
    private func catalogHoles(quick: Bool) throws(Fault) -> [Hole] {
        do throws(Fault) {
            return try context.catalog.verify(full: !quick).map { Hole(file: context.files.catalog, message: $0) }
        } catch {
            guard error.code == .damaged || error.code == .cancelled else { throw error }
            let cause = error.cause.map { " (\($0))" } ?? ""
            return [Hole(file: context.files.catalog, message: "the catalog does not decode" + cause)]
        }
    }

    private func journalHoles() -> [Hole] {
        do throws(Fault) {
            let entries = try context.catalog.read { (reader) throws(Fault) in try reader.journal(from: 0) }
            return entries.compactMap { journalHole($0) }
        } catch {
            return [Hole(file: context.files.catalog, message: "the journal cannot be read: \(error.message)")]
        }
    }

    /// The file as it is on disk now, not as it was when the store was opened.
    private func keyringFault() -> Fault? {
        do throws(Fault) {
            try context.keyring.verifyFile()
            return nil
        } catch {
            return error
        }
    }

    private func journalHole(_ entry: JournalEntry) -> Hole? {
        do throws(Fault) {
            let rows = try JournalDecoder(StoreSealer(context.names)).decode(
                entry.blob, context.binding(firstSequence: entry.firstSequence), received: entry.receivedMs)
            // Rows of erased entities are no longer there.
            guard rows.rowCount == entry.rows || !context.keyring.tombstones().isEmpty else {
                throw Fault(.damaged, "a journal entry has \(rows.rowCount) rows, not \(entry.rows)")
            }
            return nil
        } catch {
            return Hole(
                file: context.files.catalog, entity: error.place.entity.flatMap { context.names.entityName($0) },
                rows: entry.rows, message: "journal entry \(entry.firstSequence): \(error.message)")
        }
    }

    /// Files among the segments that no catalog row names. In the writer's process nothing is written meanwhile.
    private func strangers() throws(Fault) -> [Hole] {
        engine.compaction.lock()
        engine.maintenance.lock()
        defer {
            engine.maintenance.unlock()
            engine.compaction.unlock()
        }
        let files = context.environment.files
        let known = Set(try engine.stored().segments.all.map(\.path))
        var holes: [Hole] = []
        for day in try files.list(context.files.segments) {
            let directory = Path.join(context.files.segments, day)
            guard let status = try files.status(directory), status.isDirectory else {
                holes.append(Hole(file: directory, message: "not a file of this store"))
                continue
            }
            for name in try files.list(directory) {
                let path = Path.join(directory, name)
                // A writer in another process may be at work: its new files are named before they are known.
                if known.contains(path) || name.hasSuffix(".tmp") { continue }
                if engine.lane == nil, SegmentID(hex: String(name.dropLast(4))) != nil { continue }
                holes.append(Hole(file: path, message: "no catalog row names this file"))
            }
        }
        return holes
    }

    // MARK: Segments

    struct Part {
        var blocks = 0
        var events = 0
        var bytes = 0
        var holes: [Hole] = []
    }

    func segment(_ handle: SegmentHandle, quick: Bool) -> Part {
        var part = Part()
        let sealer = StoreSealer(context.names)
        do throws(Fault) {
            let reader = try context.segmentFiles.reader(handle)
            part.bytes = reader.fileBytes
            let directory = try reader.directory(sealer)
            let gone = try gone(handle)
            try compare(handle, reader, directory.entities.filter { !gone.contains($0.entity) })
            if quick {
                part.events = handle.info.rows
                return part
            }
            let keys = try handle.entries(context.catalog).map { ($0.entity, $0.keyID) }
            let found = SegmentVerifier.verify(
                reader, sealer: sealer, gone: gone, keys: Dictionary(keys) { first, _ in first })
            part.blocks = found.blocks
            part.events = found.rows
            part.holes = found.findings.map { hole($0, handle) }
        } catch {
            if error.code == .notFound, isGone(handle) { return part }
            part.holes.append(
                Hole(
                    file: handle.path, since: handle.info.minTime, until: handle.info.maxTime, rows: handle.info.rows,
                    message: error.code == .notFound ? "the file is missing" : error.message))
        }
        return part
    }

    /// Entities whose part of the segment was erased or has expired.
    private func gone(_ handle: SegmentHandle) throws(Fault) -> Set<UInt32> {
        let number = handle.info.number
        let parts = try context.catalog.read { (reader) throws(Fault) in try reader.gone(segment: number) }
        return Set(parts.map(\.entity))
    }

    /// Whether the segment was merged or dropped since the snapshot.
    private func isGone(_ handle: SegmentHandle) -> Bool {
        guard let now = try? engine.stored() else { return false }
        return !now.segments.all.contains { $0.info.number == handle.info.number }
    }

    private func compare(
        _ handle: SegmentHandle, _ reader: SegmentReader, _ entities: [SegmentEntityEntry]
    ) throws(Fault) {
        let indexed = try handle.entries(context.catalog)
        let rows = entities.reduce(0) { $0 + $1.rows }
        guard reader.fileBytes == handle.info.fileBytes, rows == handle.info.rows, indexed == entities else {
            throw Fault(.damaged, "the catalog's index and the segment's own directory differ")
        }
    }

    private func hole(_ finding: SegmentVerification.Finding, _ handle: SegmentHandle) -> Hole {
        Hole(
            file: handle.path, entity: finding.entity.flatMap { context.names.entityName($0) },
            block: finding.block, since: finding.minTime, until: finding.maxTime, rows: finding.rows,
            message: finding.fault.message)
    }
}
