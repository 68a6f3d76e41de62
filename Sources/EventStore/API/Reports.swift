import Foundation

/// What became of one appended event.
public enum EventOutcome: Sendable, Hashable {
    case stored
    /// The same event was there already.
    case duplicate
    /// An event with this identity but other content was there already; the first stays.
    case conflict
    /// Older than the entity's plan keeps; not stored.
    case expired
    /// Not stored, for the reason given (a stable word) and in words.
    case refused(reason: String, detail: String)
}

/// The answer to an append: one outcome an event, in the order given.
public struct AppendReport: Sendable {
    public var outcomes: [EventOutcome]
    /// The position after the last event stored.
    public var nextSequence: UInt64
    public var stored: Int
    public var duplicates: Int
    public var conflicts: Int
    public var refused: Int
    public var expired: Int
    /// Values that the collection policy left out or shortened.
    public var stripped: Int
    /// True when this batch id was seen before and the first answer was given again.
    public var repeated: Bool
}

/// An input line or event that was not stored.
public struct Refusal: Codable, Sendable {
    /// Source file, "-" for standard input.
    public var source: String
    /// Line in the source, from 1; 0 when the event was refused behind the parser, where lines are not known.
    public var line: Int
    /// A stable word, such as `bad-json`.
    public var reason: String
    public var detail: String
    public init(source: String, line: Int, reason: String, detail: String) {
        self.source = source
        self.line = line
        self.reason = reason
        self.detail = detail
    }
}

/// What an import reads.
public struct ImportRequest: Codable, Sendable {
    public enum Format: String, Codable, Sendable, CaseIterable {
        case auto, ndjson, csv, parquet, sqlite, store, clf, combined
        case vhostCombined = "vhost_combined"
    }
    /// Paths, or "-" for standard input. `.gz` and `.zst` are read as they are. A directory stands for the Parquet files
    /// in it and below, or is another store.
    public var sources: [String]
    public var format: Format = .auto
    /// An Apache or nginx log format; overrides `format`.
    public var logFormat: String?
    /// Opens sources that are stores; without it the file PATH.key beside each does. To the process that holds the store
    /// only the name of a key file or passphrase file goes, never a key.
    public var sourceKey: KeySource? {
        get { sourceKeyFile?.source ?? sourceKeyHere }
        set {
            sourceKeyFile = newValue.flatMap { KeyFileName($0) }
            sourceKeyHere = sourceKeyFile == nil ? newValue : nil
        }
    }
    private var sourceKeyFile: KeyFileName?
    private var sourceKeyHere: KeySource?

    /// Whether it has a key that only this process knows.
    var hasKeyOfThisProcess: Bool { sourceKeyHere != nil }

    private enum KeyFileName: Codable {
        case keyFile(String)
        case passphraseFile(String)

        init?(_ source: KeySource) {
            switch source {
            case .keyFile(let path): self = .keyFile(path)
            case .passphraseFile(let path): self = .passphraseFile(path)
            default: return nil
            }
        }

        var source: KeySource {
            switch self {
            case .keyFile(let path): .keyFile(path)
            case .passphraseFile(let path): .passphraseFile(path)
            }
        }
    }
    /// The entity of events that name none.
    public var entity: String?
    public var allowNewEntities = true
    /// The plan of entities this import adds; `nil` is the store's default.
    public var plan: String?
    /// IANA name of the zone of times that carry none; without it such times are refused.
    public var inputTimeZone: String?
    /// `true`: every `batchSize` events are one acknowledged append. `false`: segments are written directly.
    public var durable = false
    public var batchSize = 500
    /// Stores nothing if any line is refused.
    public var strict = false
    /// Parses and counts, stores nothing.
    public var dryRun = false
    /// Reads every segment back and decodes all of it before it counts (bulk path).
    public var verify = true
    /// Called, one call at a time, with the number of events whose batches are durable.
    public var acknowledged: (@Sendable (_ events: Int) -> Void)?
    /// What "-" reads: in the holder of a store the input of the process that asked.
    package var standardInput: Int32 = 0
    public init(sources: [String]) { self.sources = sources }

    /// What goes to another process: not the callback, and the descriptor only beside the text.
    private enum CodingKeys: String, CodingKey {
        case sources, format, logFormat, entity, allowNewEntities, plan, inputTimeZone, durable, batchSize, strict
        case dryRun, verify, sourceKeyFile
    }
}

public struct ImportProgress: Sendable {
    public var bytesRead: Int
    /// 0 when unknown (standard input).
    public var bytesTotal: Int
    public var eventsRead: Int
}

public struct ImportReport: Codable, Sendable {
    public var read = 0
    public var stored = 0
    public var duplicates = 0
    public var conflicts = 0
    public var refused = 0
    public var expired = 0
    /// Values that were left out or shortened: by the collection policy, or because a log line names a person.
    public var stripped = 0
    public var strippedByReason: [String: Int] = [:]
    public var duplicateKeys = 0
    public var entitiesAdded: [String] = []
    public var refusedByReason: [String: Int] = [:]
    /// The first few refusals.
    public var firstRefusals: [Refusal] = []
    public var seconds = 0.0
    public init() {}
}

public struct CountRow: Sendable, Hashable {
    /// The entity, type, or day (`YYYY-MM-DD`); empty for `total`.
    public var key: String
    public var count: Int
    public init(key: String, count: Int) {
        self.key = key
        self.count = count
    }
}

/// Counts over time, by series: what `chart` draws.
public struct Histogram: Sendable {
    /// Start of the first bucket, milliseconds since 1970 UTC.
    public var start: Int64
    public var bucketMs: Int64
    /// Series names by falling total, each with one count a bucket.
    public var series: [(name: String, counts: [Int])]
    /// Why some events could not be counted, if so: the first damage met.
    public var damage: EventStoreError?
    public init(start: Int64, bucketMs: Int64, series: [(name: String, counts: [Int])]) {
        self.start = start
        self.bucketMs = bucketMs
        self.series = series
    }
}

public struct StoreStats: Sendable {
    public var events = 0
    /// All files of the store.
    public var bytes = 0
    public var segmentBytes = 0
    public var catalogBytes = 0
    /// Set aside so that retention and erasure run on a full disk; part of `bytes`, not of `bytesPerEvent`.
    public var reservedBytes = 0
    public var entities = 0
    public var types = 0
    public var attributes = 0
    public var segments = 0
    public var partitions = 0
    /// Events that are in the journal and not yet in a segment.
    public var unflushedEvents = 0
    public var firstTimestamp: Int64?
    public var lastTimestamp: Int64?
    public var nextSequence: UInt64 = 0
    public var partition: Partition = .day
    /// Mean rows of an entity in a segment.
    public var rowsPerBlock = 0.0
    public var eventsByType: [CountRow] = []
    /// Events and lines refused since the store was made, by reason.
    public var refusedByReason: [String: Int] = [:]
    /// Values left out or shortened since the store was made.
    public var stripped = 0
    public var strippedByReason: [String: Int] = [:]
    /// Entities by plan.
    public var entitiesByPlan: [CountRow] = []
    /// Segments whose file is missing or has another length than the catalog says; `verify` looks inside.
    public var holes = 0
    /// Things the operator may want to do.
    public var advice: [String] = []
    /// What the store says of itself when it is an export.
    public var export: ExportInfo?
    public var bytesPerEvent: Double { events == 0 ? 0 : Double(bytes - reservedBytes) / Double(events) }
    public init() {}
}

/// A place where data cannot be read.
public struct Hole: Sendable {
    public var file: String
    public var entity: String?
    public var block: Int?
    public var since: Int64?
    public var until: Int64?
    public var rows: Int?
    public var message: String
    public init(
        file: String, entity: String? = nil, block: Int? = nil, since: Int64? = nil, until: Int64? = nil,
        rows: Int? = nil, message: String
    ) {
        self.file = file
        self.entity = entity
        self.block = block
        self.since = since
        self.until = until
        self.rows = rows
        self.message = message
    }
}

public struct VerifyReport: Sendable {
    public var segments = 0
    public var blocks = 0
    public var events = 0
    public var bytes = 0
    public var holes: [Hole] = []
    public var seconds = 0.0
    public init() {}
}

public struct CompactReport: Sendable, Codable {
    public var segmentsBefore = 0
    public var segmentsAfter = 0
    public var bytesBefore = 0
    public var bytesAfter = 0
    public var seconds = 0.0
    public init() {}
}
