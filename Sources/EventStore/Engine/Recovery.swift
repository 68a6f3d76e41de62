// What a writer finishes before it starts: removals that were cut short, files that were never published.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments

struct Recovery {
    let context: ReadContext

    init(_ context: ReadContext) { self.context = context }

    /// Name of the value in the catalog that says which incarnation the last writer's files carry.
    private static let lastIncarnation = "incarnation"

    /// Returns the incarnation that this writer's files are to carry.
    ///
    /// Each writer draws its own. A catalog that was put back from a copy thus knows no incarnation of files
    /// written since, and never deletes them.
    ///
    /// - Parameter knowsKeyring: the catalog says which generation of the keyring it belongs to. If not, it does from
    ///   now on: a new store, or one of an earlier format.
    func run(knowsKeyring: Bool) throws(Fault) -> UInt64 {
        let segments = try context.catalog.read { (reader) throws(Fault) in try reader.segments(overlapping: nil) }
        try finishRemovals(segments.filter { $0.state != CatalogSegment.live })
        let meta = try context.catalog.read { (reader) throws(Fault) in try reader.meta() }
        let last = meta[Recovery.lastIncarnation].map { UInt64(bitPattern: $0) } ?? context.settings.incarnation
        try removeOrphans(known: Set(segments.map(\.id)), of: last)
        var fresh: UInt64 = 0
        withUnsafeMutableBytes(of: &fresh) { context.environment.randomBytes($0) }
        var change = CatalogChange()
        change.setMeta = [Recovery.lastIncarnation: Int64(bitPattern: fresh)]
        if !knowsKeyring { change.keyringGeneration = context.keyring.generation }
        // A clock that leapt is not recorded: the guard would believe it the next time.
        let now = context.environment.nowMs()
        if now - (meta[ClockGuard.name] ?? now) <= ClockGuard.leapMaxMs { change.setMeta[ClockGuard.name] = now }
        _ = try context.catalog.commit(change)
        return fresh
    }

    /// Makes sure that the keyring is not older than the store, and returns the generation the catalog knows. Called
    /// with the lock held, before anything is written: the keyring is always written before the catalog says so.
    func checkKeyring() throws(Fault) -> UInt64 {
        if try context.keyring.reloadIfChanged() { context.names.keyringChanged() }
        let known = try context.catalog.read { (reader) throws(Fault) in try reader.keyringGeneration() }
        guard known <= context.keyring.generation else {
            throw Fault(
                .wrongKey,
                "the keyring is older than the store (generation \(context.keyring.generation), the store has seen "
                    + "\(known)): put the newest copy in its place; it can be read with this one, not written",
                at: .init(file: context.files.keyring))
        }
        return known
    }

    /// Unlinks files whose rows say so, durably, then removes the rows. A file that is gone already was unlinked before.
    private func finishRemovals(_ segments: [CatalogSegment]) throws(Fault) {
        guard !segments.isEmpty else { return }
        for segment in segments {
            try SegmentRemoval.unlink(try SegmentHandle(segment, files: context.files).path, context.environment)
        }
        for start in Set(segments.map(\.partitionStart)) {
            try syncIfThere(context.files.directory(partitionStart: start))
        }
        var change = CatalogChange()
        change.removeSegments = segments.map(\.number)
        _ = try context.catalog.commit(change)
    }

    /// Deletes segment files that no catalog row names if the last writer of this very catalog made them; anything else
    /// stays and is reported by `verify`. Unreadable metadata never means delete.
    private func removeOrphans(known: Set<[UInt8]>, of incarnation: UInt64) throws(Fault) {
        let files = context.environment.files
        for day in try files.list(context.files.segments) {
            let directory = Path.join(context.files.segments, day)
            guard let status = try files.status(directory), status.isDirectory else { continue }
            let names = try files.list(directory)
            var left = names.count
            for name in names where try isOrphan(Path.join(directory, name), known, incarnation) {
                try SegmentRemoval.unlink(Path.join(directory, name), context.environment)
                left -= 1
            }
            // Before this incarnation is recorded: a file that came back later would belong to nobody.
            if left < names.count { try files.syncDirectory(directory) }
            if left == 0 { try? files.removeDirectory(directory) }
        }
    }

    private func syncIfThere(_ directory: String) throws(Fault) {
        guard try context.environment.files.status(directory) != nil else { return }
        try context.environment.files.syncDirectory(directory)
    }

    private func isOrphan(_ path: String, _ known: Set<[UInt8]>, _ incarnation: UInt64) throws(Fault) -> Bool {
        let name = Path.name(path)
        // A temporary file was never renamed into place, so nothing was ever acknowledged from it.
        if name.hasSuffix(".seg.tmp") { return SegmentID(hex: String(name.dropLast(8))) != nil }
        guard name.hasSuffix(".seg"), let id = SegmentID(hex: String(name.dropLast(4))) else { return false }
        if known.contains(id.bytes) { return false }
        do throws(Fault) {
            let file = try context.environment.files.openForReading(path)
            let reader = try SegmentReader(file: file, path: path, sequenceBase: 0)
            return reader.incarnation == incarnation
        } catch {
            return false
        }
    }
}

enum SegmentRemoval {
    static func unlink(_ path: String, _ environment: Environment) throws(Fault) {
        do throws(Fault) {
            try environment.files.unlink(path)
        } catch {
            if error.code != .notFound { throw error }
        }
    }
}
