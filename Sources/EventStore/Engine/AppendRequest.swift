// One append on its way through the writer lane.

import EventStoreCore

/// What became of a row. Raw values stand in stored answers of batches and are never reused.
enum RowVerdict: UInt8, Sendable {
    case stored = 0
    case duplicate = 1
    case conflict = 2
    case expired = 3
    case unknownEntity = 4
    case tooManyNames = 5

    var isRefusal: Bool { self == .unknownEntity || self == .tooManyNames }
}

/// A batch to be appended, and after it passed the lane what became of it.
///
/// `@unchecked Sendable`: filled by the caller before it is queued, then touched by the lane's leader alone,
/// and read by the caller again after the leader said it is done; the queue's lock orders the three.
final class AppendRequest: @unchecked Sendable {
    let batch: RowBatch
    let receivedMs: Int64
    var allowNewEntities = true
    /// For idempotency: a blind tag of the batch id, and a hash of what is in the batch.
    var batchTag: [UInt8]?
    var bodyHash: [UInt8] = []

    // Set by the lane.
    var isDone = false
    var fault: Fault?
    var verdicts: [RowVerdict] = []
    var entitiesAdded: [String] = []
    var nextSequence: UInt64 = 0
    /// The answer of an earlier batch with this id.
    var earlierAnswer: [UInt8]?

    init(_ batch: RowBatch, receivedMs: Int64) {
        self.batch = batch
        self.receivedMs = receivedMs
    }
}
