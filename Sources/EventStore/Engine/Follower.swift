// Keeps a reader's picture of the store up to date: what another process published since.

import EventStoreCatalog
import EventStoreCore
import EventStoreCrypto
import Synchronization

final class Follower: Sendable {
    private struct State {
        var published = Published()
        var changes = UInt64.max
        var segmentChanges = UInt64.max
        var nameChanges = UInt64.max
        var handles: [Int64: SegmentHandle] = [:]
        /// First sequence of the journal's entries that are decoded, ascending, as in `published.memory`.
        var journal: [UInt64] = []
    }

    private let context: ReadContext
    private let state = Mutex(State())
    /// Where the root key comes from, to open the keyring again after its master key was rotated. A passphrase is not
    /// kept.
    private let source: KeySource?

    init(_ context: ReadContext, _ source: KeySource) {
        self.context = context
        if case .passphrase = source { self.source = nil } else { self.source = source }
    }

    /// Takes over keys that another process changed.
    private func reloadKeys() throws(Fault) {
        do throws(Fault) {
            guard try context.keyring.reloadIfChanged() else { return }
        } catch {
            guard error.code == .wrongKey, let source else { throw error }
            do throws(Fault) {
                try context.keyring.reload(with: try source.secret(context.environment))
            } catch let again {
                guard again.code == .wrongKey || again.code == .notFound else { throw again }
                throw error
            }
        }
        context.names.keyringChanged()
    }

    /// The store as it is now. One read transaction when something changed, one row read when not.
    func refresh() throws(Fault) -> Published {
        try reloadKeys()
        return try state.withLock { (state) throws(Fault) in
            try context.catalog.read { (reader) throws(Fault) in try refresh(reader, &state) }
            return state.published
        }
    }

    private func refresh(_ reader: CatalogReader, _ state: inout State) throws(Fault) {
        let changes = try reader.changeCounter()
        guard changes != state.changes else { return }
        let nameChanges = try reader.namesCounter()
        if nameChanges != state.nameChanges {
            // Keys come before the names they seal.
            try reloadKeys()
            let erased = context.names.lives.records.filter(\.isErased).count
            try context.names.load(reader)
            if context.names.lives.records.filter(\.isErased).count != erased { forgetErased(&state) }
            state.nameChanges = nameChanges
        }
        let segmentChanges = try reader.segmentsCounter()
        if segmentChanges != state.segmentChanges {
            try loadSegments(reader, segmentChanges, &state)
            state.segmentChanges = segmentChanges
        }
        try loadJournal(reader, &state)
        state.published.nextSequence = max(1, try reader.nextSequence())
        state.changes = changes
    }

    /// Another process erased an entity: its rows and whatever was made of them go from here as well.
    private func forgetErased(_ state: inout State) {
        SealedValue.forgetKeys()
        context.columnCache.purge()
        for record in context.names.lives.records where record.isErased {
            state.published.memory = state.published.memory.map { batch in
                batch.without(entity: record.number) ?? MemoryBatch(RowBatch())
            }
        }
    }

    private func loadSegments(
        _ reader: CatalogReader, _ segmentChanges: UInt64, _ state: inout State
    ) throws(Fault) {
        var handles: [Int64: SegmentHandle] = [:]
        for info in try reader.segments(overlapping: nil) where info.state == CatalogSegment.live {
            // One that lost a part is another: what is known of its entities no longer holds.
            if let known = state.handles[info.number], known.info == info {
                handles[info.number] = known
            } else {
                handles[info.number] = try SegmentHandle(info, files: context.files)
            }
            handles[info.number]?.saw(at: segmentChanges)
        }
        let gone = state.handles.keys.filter { handles[$0] == nil }
        for number in gone { context.segmentFiles.forget(number) }
        let changed = state.handles.filter { number, handle in handles[number] !== handle }.keys
        if !changed.isEmpty { context.columnCache.purge(segments: Set(changed)) }
        state.handles = handles
        state.published.segments = SegmentSet(Array(handles.values))
    }

    /// Decodes the entries that are new and drops those that were flushed.
    private func loadJournal(_ reader: CatalogReader, _ state: inout State) throws(Fault) {
        let after = state.journal.last.map { $0 + 1 } ?? 0
        let first = try reader.firstJournalSequence() ?? .max
        let flushed = state.journal.prefix { $0 < first }.count
        state.journal.removeFirst(flushed)
        state.published.memory.removeFirst(flushed)
        let decoder = JournalDecoder(StoreSealer(context.names))
        for entry in try reader.journal(from: after) {
            let rows: RowBatch
            do throws(Fault) {
                rows = try decoder.decode(
                    entry.blob, context.binding(firstSequence: entry.firstSequence), received: entry.receivedMs)
            } catch {
                throw error.at(file: context.files.catalog)
            }
            // Rows of erased entities are left out, but the entry keeps its place.
            state.journal.append(entry.firstSequence)
            state.published.memory.append(MemoryBatch(rows))
        }
    }
}
