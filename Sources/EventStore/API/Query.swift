import EventStoreCore
import EventStoreQuery

/// A value of a query's result or parameters. Booleans are 0 and 1, as in SQLite.
public enum QueryValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)
}

/// A column of a result.
public struct QueryColumn: Hashable, Sendable {
    public let name: String
    /// Its integers are times, milliseconds since 1970 UTC: `timestamp`, `received`, what `time_bucket` and
    /// `date_trunc` give, their least and greatest.
    public let isTime: Bool
}

/// Some rows of a result.
public struct QueryBatch: Sendable {
    let columns: [[SQLValue]]
    public let count: Int

    public subscript(row: Int, column: Int) -> QueryValue { QueryValue(columns[column][row]) }
}

/// What a query cost so far.
public struct QueryStatistics: Hashable, Sendable {
    /// Whether it runs in the store's own engine; otherwise SQLite runs it over a virtual table.
    public internal(set) var isNative = true
    /// Events looked at.
    public internal(set) var rowsScanned = 0
    /// Rows of the result.
    public internal(set) var rowsReturned = 0
    /// Blocks of segments whose events were looked at, and those passed over by index, zone maps or Bloom filters.
    public internal(set) var blocksRead = 0
    public internal(set) var blocksPruned = 0
    /// Bytes read from segment files; what was cached costs none.
    public internal(set) var bytesRead = 0
    public internal(set) var milliseconds = 0.0
}

/// The rows of a query, streamed; a snapshot of the moment it began. Not for use by two threads at a time.
public final class QueryCursor {
    public let columns: [QueryColumn]
    private let run: any QueryRun

    init(_ run: any QueryRun) {
        self.run = run
        columns = run.columns
    }

    /// The next rows, or `nil` at the end.
    public func nextBatch() throws(EventStoreError) -> QueryBatch? {
        try atTheDoor { () throws(Fault) in try run.nextBatch() }
    }

    /// What it cost up to now; final after the end.
    public var statistics: QueryStatistics { run.statistics }

    /// Lets go of the snapshot. Further calls give `nil`.
    public func close() { run.close() }

    /// All the rows that are left, as arrays. Costs memory for all of them.
    public func rows() throws(EventStoreError) -> [[QueryValue]] {
        var rows: [[QueryValue]] = []
        while let batch = try nextBatch() {
            for row in 0..<batch.count { rows.append(columns.indices.map { batch[row, $0] }) }
        }
        return rows
    }
}

/// One way to run a query.
protocol QueryRun: AnyObject {
    var columns: [QueryColumn] { get }
    var statistics: QueryStatistics { get }
    func nextBatch() throws(Fault) -> QueryBatch?
    func close()
}

extension QueryValue {
    init(_ value: SQLValue) {
        switch value {
        case .null: self = .null
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .double(number)
        case .text(let text): self = .text(text.string)
        }
    }

    var sqlValue: SQLValue {
        switch self {
        case .null: .null
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .text(let text): .text(Text(text))
        }
    }
}

extension BlockingEventStore {
    /// Runs a SELECT (or `EXPLAIN SELECT`) over the tables `events`, `entities` and `segments`.
    ///
    /// Questions about single events or groups of them run in the store's own engine, on all cores; joins, windows,
    /// sub-queries and the like in SQLite over the same scan. Memory stays within half the store's budget, beside
    /// the rows handed out.
    ///
    /// - Parameter parameters: values of `:name` in the text.
    /// - Throws: `invalid` with the line and column of what is wrong with the text, `limit` when the memory budget
    ///   does not suffice, `damaged` and `tampered` when an event that matters cannot be read, and what reading throws.
    public func query(
        _ sql: String, parameters: [String: QueryValue] = [:]
    ) throws(EventStoreError) -> QueryCursor {
        try atTheDoor { () throws(Fault) in QueryCursor(try engine.query(sql, parameters)) }
    }

    /// Runs a question put together in Swift. It costs and throws what its SQL would.
    public func query(_ query: EventQuery) throws(EventStoreError) -> QueryCursor {
        try atTheDoor { () throws(Fault) in QueryCursor(try engine.query(query)) }
    }
}

extension EventStore {
    /// The rows of a SELECT, streamed in batches. See ``BlockingEventStore/query(_:parameters:)``.
    public func query(_ sql: String, parameters: [String: QueryValue] = [:]) -> QueryBatches {
        QueryBatches { () throws in try self.blocking.query(sql, parameters: parameters) }
    }

    /// The rows of a question put together in Swift, streamed in batches.
    public func query(_ query: EventQuery) -> QueryBatches {
        QueryBatches { () throws in try self.blocking.query(query) }
    }
}

/// The rows of a query as an asynchronous sequence of batches. The query begins with the first `next()`.
public struct QueryBatches: AsyncSequence, Sendable {
    public typealias Element = QueryBatch
    let begin: @Sendable () throws -> QueryCursor

    public func makeAsyncIterator() -> Iterator { Iterator(box: QueryBox(begin)) }

    /// All rows, as arrays, with the columns they have. Costs memory for all of them.
    public func rows() async throws -> (columns: [QueryColumn], rows: [[QueryValue]]) {
        let box = QueryBox(begin)
        var rows: [[QueryValue]] = []
        while true {
            try Task.checkCancellation()
            guard let batch = try await offload({ try box.next() }) else { break }
            for row in 0..<batch.count { rows.append(batch.columns.indices.map { batch[row, $0] }) }
        }
        return (box.columns, rows)
    }

    public struct Iterator: AsyncIteratorProtocol {
        let box: QueryBox
        /// Throws `CancellationError` in a task that was cancelled.
        public mutating func next() async throws -> QueryBatch? {
            try Task.checkCancellation()
            let box = box
            return try await offload { try box.next() }
        }
    }
}

/// Holds an iterator's cursor. `@unchecked Sendable`: an iterator is used by one task at a time, and each step is
/// awaited before the next begins.
final class QueryBox: @unchecked Sendable {
    private let begin: @Sendable () throws -> QueryCursor
    private var cursor: QueryCursor?
    init(_ begin: @escaping @Sendable () throws -> QueryCursor) { self.begin = begin }

    /// None before the first `next()`.
    var columns: [QueryColumn] { cursor?.columns ?? [] }

    func next() throws -> QueryBatch? {
        let current = try cursor ?? begin()
        cursor = current
        return try current.nextBatch()
    }
}
