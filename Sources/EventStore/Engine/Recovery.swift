// What a writer finishes before it starts: removals that were cut short, files that were never published.

import EventStoreCatalog
import EventStoreCore
import EventStoreSegments

struct Recovery {
    let context: ReadContext

    init(_ context: ReadContext) { self.context = context }

    func run() throws(Fault) {
        let segments = try context.catalog.read { (reader) throws(Fault) in try reader.segments(overlapping: nil) }
        try finishRemovals(segments.filter { $0.state != CatalogSegment.live })
        try removeOrphans(known: Set(segments.map(\.id)))
    }

    /// Unlinks files whose rows say so, then removes the rows. A file that is gone already was unlinked before.
    private func finishRemovals(_ segments: [CatalogSegment]) throws(Fault) {
        guard !segments.isEmpty else { return }
        for segment in segments {
            try SegmentRemoval.unlink(try SegmentHandle(segment, files: context.files).path, context.environment)
        }
        var change = CatalogChange()
        change.removeSegments = segments.map(\.number)
        _ = try context.catalog.commit(change)
    }

    /// Deletes segment files that no catalog row names if this catalog's own writer made them; anything else
    /// stays and is reported by `verify`. Unreadable metadata never means delete.
    private func removeOrphans(known: Set<[UInt8]>) throws(Fault) {
        let files = context.environment.files
        for day in try files.list(context.files.segments) {
            let directory = Path.join(context.files.segments, day)
            guard let status = try files.status(directory), status.isDirectory else { continue }
            let names = try files.list(directory)
            var left = names.count
            for name in names where try isOrphan(Path.join(directory, name), known) {
                try SegmentRemoval.unlink(Path.join(directory, name), context.environment)
                left -= 1
            }
            if left == 0 { try? files.removeDirectory(directory) }
        }
    }

    private func isOrphan(_ path: String, _ known: Set<[UInt8]>) throws(Fault) -> Bool {
        let name = Path.name(path)
        // A temporary file was never renamed into place, so nothing was ever acknowledged from it.
        if name.hasSuffix(".seg.tmp") { return SegmentID(hex: String(name.dropLast(8))) != nil }
        guard name.hasSuffix(".seg"), let id = SegmentID(hex: String(name.dropLast(4))) else { return false }
        var bytes: [UInt8] = []
        withUnsafeBytes(of: id.high.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: id.low.bigEndian) { bytes.append(contentsOf: $0) }
        if known.contains(bytes) { return false }
        do throws(Fault) {
            let file = try context.environment.files.openForReading(path)
            let reader = try SegmentReader(file: file, path: path, sequenceBase: 0)
            return reader.incarnation == context.settings.incarnation
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
