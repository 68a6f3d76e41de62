import EventStoreCore
import Foundation
import Synchronization

/// What an export writes, and where to.
public struct ExportRequest: Sendable {
    public enum Format: String, Codable, Sendable, CaseIterable {
        /// A line of JSON an event.
        case ndjson
        /// A header that carries the types, then a record an event.
        case csv
        /// A directory with a file for each UTC day: `day=YYYY-MM-DD/part-0.parquet`.
        case parquet
        /// One SQLite database with a table `events`.
        case sqlite
        /// A directory that is a store itself, with keys of its own: frozen, only to be read.
        case store
    }

    public enum Destination: Sendable {
        /// A file, or for `parquet` and `store` a directory. It appears under this path when all of it is there.
        case path(String)
        /// Bytes handed over as they come, one call at a time; for `ndjson` and `csv`. What was handed over before a
        /// failure cannot be taken back.
        case stream(@Sendable (UnsafeRawBufferPointer) throws -> Void)
    }

    public var format: Format
    public var destination: Destination
    /// Which events.
    public var filter = EventFilter()
    /// Only events with this sequence or a later one: the `nextSequence` of the export before makes the next one
    /// incremental.
    public var fromSequence: UInt64?
    /// Replaces what is at the path. A directory is only replaced when it is an export itself.
    public var replacesExisting = false
    /// The key that will open an export of format `store`; a key that opens the store itself is refused. No key of the
    /// store goes along.
    public var recipientKey: KeySource?
    /// From then on, in milliseconds since 1970, an export of format `store` refuses to be opened. A courtesy of this
    /// software: whoever has the export and its key can read it with other means.
    public var expiresMs: Int64?
    /// In a store opened for reading: has the export recorded in the audit chain, as ``StoreOperation/recordExport(_:)``
    /// does. Called before anybody can have the export; what it throws ends the export.
    public var recorder: (@Sendable (ExportRecord) throws -> Void)?
    /// Asked now and then; once it says true the export ends with `cancelled` and leaves nothing behind.
    public var isCancelled: (@Sendable () -> Bool)?

    public init(format: Format, to destination: Destination) {
        self.format = format
        self.destination = destination
    }
}

/// What the audit chain keeps of an export.
public struct ExportRecord: Codable, Sendable {
    public var format: ExportRequest.Format
    public var filter: ExportManifest.Filter
    /// `nil` for a stream, which is recorded before it begins.
    public var events: Int?
}

public struct ExportProgress: Sendable {
    public var events: Int
    public var bytes: Int
    /// From 0 to 1.
    public var share: Double
}

/// What an export wrote.
public struct ExportReport: Sendable {
    public var manifest: ExportManifest
    /// Where the manifest was written, if it was.
    public var manifestPath: String?
    public var events: Int { manifest.events }
    public var bytes: Int { manifest.files.reduce(0) { $0 + $1.bytes } }
    /// Where the next incremental export begins.
    public var nextSequence: UInt64 { manifest.nextSequence }
    public var seconds: Double
}

/// What an export contains, written beside it as JSON: `PATH.manifest.json`, for Parquet `PATH/_manifest.json`. That of
/// an export of format `store`, `PATH/_manifest.json`, has neither names nor filter: they are sealed inside.
public struct ExportManifest: Codable, Sendable, Equatable {
    public struct File: Codable, Sendable, Equatable {
        /// Relative to the directory the manifest stands in.
        public var path: String
        public var bytes: Int
        /// Hexadecimal.
        public var sha256: String
        public var events: Int
    }

    public struct Filter: Codable, Sendable, Equatable {
        public var entities: [String]
        public var types: [String]
        public var since: Int64?
        public var until: Int64?
        /// As `events --where` takes them.
        public var conditions: [String]
    }

    public struct Entity: Codable, Sendable, Equatable {
        public var entity: String
        public var events: Int
        /// Events by UTC day, `YYYY-MM-DD`.
        public var days: [String: Int]
    }

    /// Of this manifest: 1.
    public var version = 1
    public var format: String
    /// Id of the store, hexadecimal.
    public var store: String
    /// RFC 3339.
    public var created: String
    /// The first sequence asked for, if one was.
    public var fromSequence: UInt64?
    /// The cut: the export has what matched and was stored under sequences before it.
    public var nextSequence: UInt64
    public var filter: Filter
    public var events: Int
    /// By name.
    public var entities: [Entity]
    public var files: [File]

    /// The JSON text.
    public var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) + "\n" } ?? ""
    }
}

/// What a store that is an export says of itself; sealed in it.
public struct ExportInfo: Codable, Sendable, Equatable {
    /// Id of the store it came from, hexadecimal.
    public var source: String
    /// The cut: it shows what could be seen at this time, in milliseconds since 1970.
    public var createdMs: Int64
    public var fromSequence: UInt64?
    /// It has what matched and was stored under sequences before this one.
    public var nextSequence: UInt64
    public var filter: ExportManifest.Filter
    public var events: Int
    /// When it refuses to be opened, if ever.
    public var expiresMs: Int64?
}

extension BlockingEventStore {
    /// What the store says of itself when it is an export; `nil` for a store that can be written to. Costs nothing.
    public var exportInfo: ExportInfo? { engine.context.export }

    /// Writes the matching events to a file, a directory or a stream; `importEvents` takes all of them back, with the
    /// same ids, times, attributes and kinds.
    ///
    /// A snapshot of the moment of the call. Written under a temporary name beside the path, synced, then renamed: when
    /// it throws nothing is left, and what a killed process left goes with the next export to the same path. Memory
    /// follows the threads and the width of the table, not the number of events. Uses all cores. In a store opened for
    /// writing the export is recorded in the audit chain.
    ///
    /// Format `store` copies what is wanted whole without decoding it: a filter by entity alone, or none, is the fast way.
    /// Sequences and times of arrival stay; plans and states of entities go along and no longer expire anything.
    ///
    /// - Parameter progress: called now and then, on a thread of the export.
    /// - Throws: `exists` (choose another path or set `replacesExisting`), `limit` when a format cannot hold so many
    ///   attributes (choose another or filter), `damaged` and `tampered` when not all could be read (`verify` says
    ///   what; filter it out), `cancelled`, `disk-full`, `permission`, `io`.
    @discardableResult
    public func export(
        _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)? = nil
    ) throws(EventStoreError) -> ExportReport {
        try atTheDoor { () throws(Fault) in try engine.export(request, progress: progress) }
    }
}

extension EventStore {
    /// What the store says of itself when it is an export; `nil` for a store that can be written to.
    public var exportInfo: ExportInfo? { blocking.exportInfo }

    /// As ``BlockingEventStore/export(_:progress:)``. Ends with `cancelled` when the task is cancelled.
    @discardableResult
    public func export(
        _ request: ExportRequest, progress: (@Sendable (ExportProgress) -> Void)? = nil
    ) async throws -> ExportReport {
        let flag = CancellationFlag()
        var request = request
        let asked = request.isCancelled
        request.isCancelled = { flag.isSet.load(ordering: .relaxed) || asked?() == true }
        let final = request
        return try await withTaskCancellationHandler {
            try await offload { try self.blocking.export(final, progress: progress) }
        } onCancel: {
            flag.isSet.store(true, ordering: .relaxed)
        }
    }
}

private final class CancellationFlag: Sendable {
    let isSet = Atomic<Bool>(false)
}
