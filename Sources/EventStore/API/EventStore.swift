import EventStoreCore
import Foundation

/// An embedded, append-only, encrypted store of events.
///
/// An appended event survives power loss once `append` returns; a repeated batch or event is stored once;
/// nothing on disk shows a name or a value without the key. One process writes; any number read at the
/// same time. Every method may be called from any task or thread; none blocks the cooperative pool.
/// Scripts that are not async use ``blocking``.
///
/// ```swift
/// let store = try await EventStore.open(at: "events", key: .keyFile("events.key"))
/// try await store.append([Event(entity: "example.org", type: "wp.cron", date: .now)])
/// for try await event in store.events(EventFilter(types: ["wp.cron"]), limit: 10) { print(event) }
/// try await store.close()
/// ```
public final class EventStore: Sendable {
    let engine: StoreEngine

    init(engine: StoreEngine) { self.engine = engine }

    /// Creates a store in a new directory and opens it for writing.
    ///
    /// - Throws: `exists` when the path is taken, `permission`, `disk-full`.
    public static func create(
        at path: String, key: KeySource, options: CreateOptions = CreateOptions(), open: OpenOptions = OpenOptions()
    ) async throws -> EventStore {
        try await offload { try BlockingEventStore.create(at: path, key: key, options: options, open: open).store }
    }

    /// Opens a store. Unflushed events of an earlier process are recovered from the journal.
    ///
    /// Cost: milliseconds with a key file; it grows with the number of segments, of names and of unflushed events,
    /// not with the events in segments. A passphrase adds half a second.
    /// - Throws: `not-found`, `wrong-key`, `locked` (another writer), `too-new`, `damaged`, `permission`.
    public static func open(
        at path: String, key: KeySource, options: OpenOptions = OpenOptions()
    ) async throws -> EventStore {
        try await offload { try BlockingEventStore.open(at: path, key: key, options: options).store }
    }

    /// The same operations for callers that are not async. They block the calling thread.
    public var blocking: BlockingEventStore { BlockingEventStore(store: self) }

    /// Appends events, all in one commit. Returns when they are durable.
    ///
    /// Refused events are reported, not thrown, and never stop the others. With a `batchID` the whole call
    /// is idempotent: the same id again, within seven days, gives the first answer again and stores nothing.
    /// Concurrent calls share one sync, so many small appends at a time are cheap.
    /// - Throws: `read-only`, `disk-full` (nothing stored), `poisoned`, `invalid` (a batch id used for other
    ///   events, a closed store), `io` and `damaged` for what the operating system or the files say.
    @discardableResult
    public func append(
        _ events: [Event], batchID: String? = nil, durability: Durability = .synced
    ) async throws -> AppendReport {
        try await offload { try self.blocking.append(events, batchID: batchID, durability: durability) }
    }

    /// Imports files. Good lines are stored, bad ones counted and reported.
    ///
    /// - Parameter progress: called now and then on a thread of the import.
    @discardableResult
    public func importEvents(
        _ request: ImportRequest, progress: (@Sendable (ImportProgress) -> Void)? = nil
    ) async throws -> ImportReport {
        try await offload { try self.blocking.importEvents(request, progress: progress) }
    }

    /// The events that match, streamed as a snapshot of the moment of the first `next()`. Memory follows a pass
    /// of 65,536 events at most, not the result; with `order: .stored` it follows the largest entity of a segment.
    public func events(
        _ filter: EventFilter = EventFilter(), order: EventOrder = .newestFirst, limit: Int? = nil
    ) -> EventSequence {
        EventSequence(store: self, filter: filter, order: order, limit: limit)
    }

    /// Number of events by key, largest first (days in order). Without conditions and with whole days this
    /// reads totals, not events.
    public func counts(by key: CountKey, _ filter: EventFilter = EventFilter()) async throws -> [CountRow] {
        try await offload { try self.blocking.counts(by: key, filter) }
    }

    /// New events as they are committed, in order of sequence, without gaps or repeats.
    public func tail(_ filter: EventFilter = EventFilter(), from start: TailStart = .now) -> EventTail {
        EventTail(store: self, filter: filter, start: start)
    }

    /// Sizes and totals.
    public func stats() async throws -> StoreStats { try await offload { try self.blocking.stats() } }

    /// Reads and checks every byte (`quick`: only that files and catalog agree).
    public func verify(
        quick: Bool = false, progress: (@Sendable (Double) -> Void)? = nil
    ) async throws -> VerifyReport {
        try await offload { try self.blocking.verify(quick: quick, progress: progress) }
    }

    /// Flushes, merges each partition's segments into few well-packed ones, and gives space back.
    /// An interrupted compaction loses nothing and is simply run again.
    @discardableResult
    public func compact(progress: (@Sendable (Double) -> Void)? = nil) async throws -> CompactReport {
        try await offload { try self.blocking.compact(progress: progress) }
    }

    /// Writes events that are only in the journal into segments.
    public func flush() async throws { try await offload { try self.blocking.flush() } }

    /// Ends all work and releases the lock. Further calls throw. Safe to call twice.
    public func close() async throws { try await offload { try self.blocking.close() } }
}

/// Runs blocking work on a thread outside the cooperative pool.
func offload<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: work)) }
    }
}
