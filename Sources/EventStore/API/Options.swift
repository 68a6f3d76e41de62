import EventStoreCore

/// Where the key that opens a store comes from.
public enum KeySource: Codable, Sendable {
    /// A file of 32 bytes, raw or as hex or base64 text.
    case keyFile(String)
    /// A file whose first line is the passphrase. Opening costs half a second and 128 MiB for a moment.
    case passphraseFile(String)
    /// A passphrase. Opening costs half a second and 128 MiB for a moment.
    case passphrase([UInt8])
    /// An environment variable that holds the key as hex or base64.
    case environment(String)
    /// A shell command whose standard output is the key; where a secrets manager plugs in.
    case command(String)
    /// The 32 bytes themselves.
    case raw([UInt8])
}

/// How events are grouped into segments by time. Fixed when the store is made.
public enum Partition: String, Sendable, CaseIterable {
    case day, week, month
}

/// Choices made once, when a store is created.
public struct CreateOptions: Sendable {
    /// Use `week` or `month` where an entity has only a few events a day; `stats` advises.
    public var partition: Partition = .day
    /// Values and names used by at least this many entities are kept once for all; 0 never shares.
    public var sharedByEntitiesMin = 3
    /// The plan of entities that are not given one.
    public var defaultPlan = "unlimited"
    public init() {}
}

/// Choices made each time a store is opened.
public struct OpenOptions: Sendable {
    /// One process may write; any number may read at the same time.
    public enum Mode: Sendable { case readWrite, readOnly }
    public var mode: Mode = .readWrite
    /// Bytes the store aims to stay within for its own buffers: import groups, unflushed events, ids of stored
    /// events, merges. At least 32 MiB; what a caller holds of the answers comes on top.
    public var memoryBudget = 256 << 20
    /// Threads for queries, flushes and imports; 0 is one a core.
    public var threads = 0
    /// Whether a writing process drops what has expired by itself: when it opens, and at every midnight UTC. Readers see
    /// nothing of it in any case.
    public var sweepsAutomatically = true
    /// A clock for tests and simulations, milliseconds since 1970 UTC.
    public var nowMs: (@Sendable () -> Int64)?
    public init(mode: Mode = .readWrite) { self.mode = mode }
}

/// When an append is acknowledged.
public enum Durability: Sendable {
    /// After the events are on stable storage. Appends that run at the same time share one sync.
    case synced
}

/// Which events. Empty lists mean all; times are milliseconds since 1970 UTC, `[since, until)`.
public struct EventFilter: Sendable {
    public enum Comparison: String, Sendable {
        case equal = "=", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
        /// Text contains, case-sensitive.
        case contains = "~"
        /// Text starts with, case-sensitive.
        case startsWith = "^="
    }
    /// A comparison of one attribute. An absent attribute matches nothing, `!=` included. Numbers compare
    /// across integer and double; text compares by its bytes; values of different kinds never match.
    public struct Condition: Sendable {
        public var attribute: String
        public var comparison: Comparison
        public var value: AttributeValue
        /// What text is compared with, if `value` is a number or a boolean whose kind nobody has said (as typed on
        /// a command line); `nil` matches no text.
        public var text: String?
        public init(_ attribute: String, _ comparison: Comparison, _ value: AttributeValue, orText text: String? = nil)
        {
            self.attribute = attribute
            self.comparison = comparison
            self.value = value
            self.text = text
        }
    }
    public var entities: [String] = []
    public var types: [String] = []
    public var since: Int64?
    public var until: Int64?
    /// All must hold.
    public var conditions: [Condition] = []
    public init(
        entities: [String] = [], types: [String] = [], since: Int64? = nil, until: Int64? = nil,
        conditions: [Condition] = []
    ) {
        self.entities = entities
        self.types = types
        self.since = since
        self.until = until
        self.conditions = conditions
    }
}

/// Order of events by (timestamp, sequence).
public enum EventOrder: Sendable {
    case newestFirst, oldestFirst
    /// As the store keeps them: the fastest way to read everything.
    case stored
}

/// What to count events by.
public enum CountKey: Sendable {
    case total, entity, type, day
}

/// Where a tail begins.
public enum TailStart: Sendable {
    case now
    /// The first event yielded has this sequence or a greater one.
    case sequence(UInt64)
}
