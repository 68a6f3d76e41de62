import EventStoreCore
import Foundation

/// A batch of events in columns, as a cursor yields them. Reading single events out of it makes values;
/// writing it as NDJSON or CSV does not.
public struct EventBatch: Sendable {
    let rows: RowBatch
    let order: [Int32]
    let names: NameResolver
    /// Where a tail goes on.
    public internal(set) var nextSequence: UInt64 = 0

    public var count: Int { order.count }
    public var isEmpty: Bool { order.isEmpty }

    /// The event at a position, as a value.
    public subscript(index: Int) -> Event { names.event(rows, row: Int(order[index])) }

    /// Appends one line of JSON an event: `entity, type, timestamp, id, sequence, received, attributes`.
    public func writeNDJSON(into target: inout [UInt8]) {
        names.writeNDJSON(rows, order: order, into: &target)
    }
}

/// A cursor over events, a snapshot of the moment it was made. Not for use by two threads at a time.
public final class EventCursor {
    private let run: CursorRun

    init(engine: StoreEngine, filter: EventFilter, order: EventOrder, limit: Int?) throws(Fault) {
        run = try CursorRun(engine: engine, filter: filter, order: order, limit: limit)
    }

    /// The next events, or `nil` at the end.
    public func nextBatch() throws(EventStoreError) -> EventBatch? {
        try atTheDoor { () throws(Fault) in try run.nextBatch() }
    }

    /// Lets go of the snapshot. Further calls give `nil`.
    public func close() { run.close() }
}

/// Events as an asynchronous sequence.
public struct EventSequence: AsyncSequence, Sendable {
    public typealias Element = Event
    let store: EventStore
    let filter: EventFilter
    let order: EventOrder
    let limit: Int?

    public func makeAsyncIterator() -> Iterator { Iterator(sequence: self) }

    /// Batches instead of single events, for bulk work.
    public func batches() -> EventBatchSequence { EventBatchSequence(sequence: self) }

    public struct Iterator: AsyncIteratorProtocol {
        var batches: EventBatchSequence.Iterator
        var batch: EventBatch?
        var position = 0

        init(sequence: EventSequence) { batches = EventBatchSequence.Iterator(sequence: sequence) }

        public mutating func next() async throws -> Event? {
            while true {
                if let batch, position < batch.count {
                    position += 1
                    return batch[position - 1]
                }
                batch = try await batches.next()
                position = 0
                if batch == nil { return nil }
            }
        }
    }
}

/// Batches of events as an asynchronous sequence.
public struct EventBatchSequence: AsyncSequence, Sendable {
    public typealias Element = EventBatch
    let sequence: EventSequence

    public func makeAsyncIterator() -> Iterator { Iterator(sequence: sequence) }

    public struct Iterator: AsyncIteratorProtocol {
        private let state: CursorBox
        init(sequence: EventSequence) { state = CursorBox(sequence: sequence) }
        public mutating func next() async throws -> EventBatch? {
            let state = state
            return try await offload { try state.next() }
        }
    }
}

/// Holds an iterator's cursor. `@unchecked Sendable`: an iterator is used by one task at a time, and each
/// step is awaited before the next begins.
private final class CursorBox: @unchecked Sendable {
    private let sequence: EventSequence
    private var cursor: EventCursor?
    init(sequence: EventSequence) { self.sequence = sequence }

    func next() throws -> EventBatch? {
        let current =
            try cursor
            ?? sequence.store.blocking.cursor(
                sequence.filter, order: sequence.order, limit: sequence.limit)
        cursor = current
        return try current.nextBatch()
    }
}

/// New events as they are committed. Begins at the first `next()`; ends when the task is cancelled, and throws
/// `invalid` once the store is closed.
public struct EventTail: AsyncSequence, Sendable {
    public typealias Element = Event
    let store: EventStore
    let filter: EventFilter
    let start: TailStart

    public func makeAsyncIterator() -> Iterator { Iterator(tail: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let tail: EventTail
        var position: UInt64?
        var batch: EventBatch?
        var index = 0

        init(tail: EventTail) { self.tail = tail }

        public mutating func next() async throws -> Event? {
            while !Task.isCancelled {
                if let batch, index < batch.count {
                    index += 1
                    return batch[index - 1]
                }
                let blocking = tail.store.blocking
                let filter = tail.filter
                let from: UInt64
                if let position {
                    from = position
                } else if case .sequence(let number) = tail.start {
                    from = number
                } else {
                    from = try await offload { try blocking.nextSequence() }
                }
                let fresh = try await offload { try blocking.tailBatch(filter, from: from) }
                position = fresh.nextSequence
                batch = fresh
                index = 0
            }
            return nil
        }
    }
}
