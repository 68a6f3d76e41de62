// One append on its way through the writer lane.

import EventStoreCore
import EventStoreIngest

/// What became of a row. Raw values stand in stored answers of batches and are never reused.
enum RowVerdict: UInt8, Sendable {
    case stored = 0
    case duplicate = 1
    case conflict = 2
    case expired = 3
    case unknownEntity = 4
    case tooManyNames = 5
    case suspendedEntity = 6
    case cancelledEntity = 7
    case overBudget = 8
    // Refused at the door, before there was a row.
    case badEntity = 16
    case badType = 17
    case badTimestamp = 18
    case futureTimestamp = 19
    case tooManyAttributes = 20
    case attributeName = 21
    case valueTooLong = 22
    case numberRange = 23
    case eventTooLarge = 24
    case badValue = 25
    // Refused by the collection policy.
    case policyCredential = 32
    case policyEmail = 33
    case policyBody = 34
    case policyDatabase = 35
    case policyQueryString = 36
    case policyIP = 37
    case policyNotListed = 38
    case policyRule = 39
}

/// A batch to be appended, and after it passed the lane what became of it.
///
/// `@unchecked Sendable`: filled by the caller before it is queued, then touched by the lane's leader alone,
/// and read by the caller again after the leader said it is done; the queue's lock orders the three.
final class AppendRequest: @unchecked Sendable {
    let batch: RowBatch
    let receivedMs: Int64
    var allowNewEntities = true
    /// The plan of entities it adds; `nil` is the store's default.
    var plan: String?
    /// For idempotency: a blind tag of the batch id, and a hash of what is in the batch.
    var batchTag: [UInt8]?
    var bodyHash: [UInt8] = []
    /// By event of the batch: why it was refused before it became a row, `nil` for one that is a row. Part of
    /// the answer, because it depends on the clock.
    var doorVerdicts: [RowVerdict?] = []
    /// Values the collection policy left out, by reason: counted in the commit that stores the rest.
    var stripped: [PolicyReason: Int] = [:]

    /// The request that must be stored if this one is: batches of one import come in their order or not at all.
    var predecessor: AppendRequest?

    /// What the door refused, by entity name.
    var refusedAtDoor: [String: Int] = [:]

    // Set by the lane.
    /// What it takes of the day's budgets.
    var claim: BudgetClaim?
    /// Refused and expired events by entity number.
    var tallies = TallySet()
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

    /// Forgets what an attempt that came to nothing has found.
    func reset() {
        fault = nil
        verdicts = []
        earlierAnswer = nil
        claim = nil
        tallies = TallySet()
    }

    /// Counts what was not stored, by entity.
    func noteTallies() {
        for (row, verdict) in verdicts.enumerated() {
            tallies.count(verdict, entity: batch.entityNumbers[Int(batch.entity.base[row])])
        }
    }

    /// One verdict an event: those of the rows, and of what never became one.
    var eventVerdicts: [RowVerdict] {
        var rows = verdicts.makeIterator()
        return doorVerdicts.map { $0 ?? rows.next() ?? .stored }
    }
}

extension RowVerdict {
    /// The stable word of a refusal, and what it means; `nil` for what is no refusal.
    var refusal: (reason: String, detail: String)? {
        if let policyReason { return (policyReason.refusalWord, policyReason.refusalSentence) }
        return ownRefusal
    }

    private var ownRefusal: (reason: String, detail: String)? {
        switch self {
        case .stored, .duplicate, .conflict, .expired: nil
        case .policyCredential, .policyEmail, .policyBody, .policyDatabase, .policyQueryString, .policyIP,
            .policyNotListed, .policyRule:
            nil
        case .unknownEntity: ("unknown-entity", "an entity the store does not know, and new ones were not allowed")
        case .tooManyNames: ("too-many-names", "more attribute or type names than an entity or the store may have")
        case .suspendedEntity: ("suspended-entity", "the entity is suspended; `entity resume` lets it write again")
        case .cancelledEntity: ("cancelled-entity", "the entity is cancelled; its data lives out its retention")
        case .overBudget:
            ("budget", "the entity's budget of events or bytes for this UTC day is used up; `budget show` shows it")
        case .badEntity: ("bad-entity", "an entity has 1 to \(Limits.entityNameBytesMax) bytes")
        case .badType: ("bad-type", "a type has 1 to \(Limits.typeNameBytesMax) bytes")
        case .badTimestamp: ("bad-timestamp", "before the year 1")
        case .futureTimestamp: ("future-timestamp", "more than a day in the future")
        case .tooManyAttributes: ("too-many-attributes", "more than \(Limits.attributesPerEventMax) attributes")
        case .attributeName: ("attribute-name", "a name has 1 to \(Limits.attributeNameBytesMax) bytes")
        case .valueTooLong: ("value-too-long", "a value has at most \(Limits.valueBytesMax) bytes")
        case .numberRange: ("number-range", "a number is not finite")
        case .badValue: ("bad-value", "a JSON value is not the text of an array, on one line")
        case .eventTooLarge: ("event-too-large", "an event has at most \(Limits.eventBytesMax) bytes")
        }
    }

    var reason: String { refusal?.reason ?? "" }
    var detail: String { refusal?.detail ?? "" }
}
