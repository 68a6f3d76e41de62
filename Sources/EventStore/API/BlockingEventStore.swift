import EventStoreCore

/// The operations of ``EventStore`` for code that is not async. Every call blocks its thread.
public struct BlockingEventStore: Sendable {
    public let store: EventStore
    var engine: StoreEngine { store.engine }

    public static func create(
        at path: String, key: KeySource, options: CreateOptions = CreateOptions(), open: OpenOptions = OpenOptions()
    ) throws(EventStoreError) -> BlockingEventStore {
        try atTheDoor { () throws(Fault) in
            let engine = try StoreEngine.create(at: path, key: key, create: options, open: open)
            return BlockingEventStore(store: EventStore(engine: engine))
        }
    }

    public static func open(
        at path: String, key: KeySource, options: OpenOptions = OpenOptions()
    ) throws(EventStoreError) -> BlockingEventStore {
        try atTheDoor { () throws(Fault) in
            BlockingEventStore(store: EventStore(engine: try StoreEngine.open(at: path, key: key, open: options)))
        }
    }

    @discardableResult
    public func append(
        _ events: [Event], batchID: String? = nil, durability: Durability = .synced
    ) throws(EventStoreError) -> AppendReport {
        try atTheDoor { () throws(Fault) in try engine.append(events, batchID: batchID) }
    }

    @discardableResult
    public func importEvents(
        _ request: ImportRequest, progress: (@Sendable (ImportProgress) -> Void)? = nil
    ) throws(EventStoreError) -> ImportReport {
        try atTheDoor { () throws(Fault) in try engine.importEvents(request, progress: progress) }
    }

    /// A cursor over the matching events, a snapshot of this moment. Close it or let it go when done.
    public func cursor(
        _ filter: EventFilter = EventFilter(), order: EventOrder = .newestFirst, limit: Int? = nil
    ) throws(EventStoreError) -> EventCursor {
        try atTheDoor { () throws(Fault) in
            try EventCursor(engine: engine, filter: filter, order: order, limit: limit)
        }
    }

    public func counts(by key: CountKey, _ filter: EventFilter = EventFilter()) throws(EventStoreError) -> [CountRow] {
        try atTheDoor { () throws(Fault) in try engine.counts(by: key, filter) }
    }

    /// Counts per time bucket and series: `by` is `"type"`, `"entity"`, an attribute name, or `nil` for one series.
    /// Buckets start at whole multiples of `bucketMs` from `origin`.
    public func histogram(
        _ filter: EventFilter = EventFilter(), by: String? = nil, bucketMs: Int64, origin: Int64 = 0
    ) throws(EventStoreError) -> Histogram {
        try atTheDoor { () throws(Fault) in
            try engine.histogram(filter, by: by, bucketMs: bucketMs, origin: origin)
        }
    }

    /// The next events at or after `sequence`, in order of sequence, at most `limit`; waits up to
    /// `timeoutMs` for the first. The batch's `nextSequence` is where to go on.
    public func tailBatch(
        _ filter: EventFilter = EventFilter(), from sequence: UInt64, limit: Int = 1000, timeoutMs: Int = 1000
    ) throws(EventStoreError) -> EventBatch {
        try atTheDoor { () throws(Fault) in
            try engine.tailBatch(filter, from: sequence, limit: limit, timeoutMs: timeoutMs)
        }
    }

    /// The sequence the next event will get.
    public func nextSequence() throws(EventStoreError) -> UInt64 {
        try atTheDoor { () throws(Fault) in try engine.nextSequence() }
    }

    /// All names of a kind, sorted: for hints and completion.
    public func names(of kind: NameKind) throws(EventStoreError) -> [String] {
        try atTheDoor { () throws(Fault) in try engine.names(of: kind) }
    }

    public func stats() throws(EventStoreError) -> StoreStats {
        try atTheDoor { () throws(Fault) in try engine.stats() }
    }

    public func verify(
        quick: Bool = false, progress: (@Sendable (Double) -> Void)? = nil
    ) throws(EventStoreError) -> VerifyReport {
        try atTheDoor { () throws(Fault) in try engine.verify(quick: quick, progress: progress) }
    }

    @discardableResult
    public func compact(progress: (@Sendable (Double) -> Void)? = nil) throws(EventStoreError) -> CompactReport {
        try atTheDoor { () throws(Fault) in try engine.compact(progress: progress) }
    }

    public func flush() throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.flush() }
    }

    public func close() throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.close() }
    }
}

/// A kind of name the store knows.
public enum NameKind: Sendable {
    case entity, type, attribute
}

/// Turns the rooms' error into the public one.
func atTheDoor<T>(_ work: () throws(Fault) -> T) throws(EventStoreError) -> T {
    do { return try work() } catch { throw EventStoreError(error) }
}
