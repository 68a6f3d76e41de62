// What one transaction changes, and what it gives back.

/// Everything a commit may do; whatever is left empty is left alone. Parts are applied in the order of the
/// fields. Either all of it is durable when `Catalog.commit` returns, or none of it happened.
package struct CatalogChange: Sendable {
    package var addEntities: [EntityRecord] = []
    /// `plan`, `state` and `floorMs`, `keyID`, `sealedName` and `tag` of existing entities. A floor never moves back.
    package var updateEntities: [EntityRecord] = []
    /// Entities whose held names go, with the numbers of names then nobody holds: those lose their tag.
    package var releaseHolders: [UInt32] = []
    /// Keys that entities lose to others: what segments hold of these entities is noted to be under them.
    package var retireKeys: [RetiredKey] = []
    /// Retired keys that exist no longer. No part may be under them.
    package var destroyedKeys: [DestroyedKey] = []
    /// Held names sealed anew.
    package var replaceHolders: [NameHolder] = []
    package var addNames: [NameRecord] = []
    package var addHolders: [NameHolder] = []
    /// Sets the shared form of a name and removes its holders.
    package var shareNames: [SharedName] = []
    /// Removes single entries, by first sequence; and the answers of batches received at these times.
    package var deleteJournal: [UInt64] = []
    package var dropBatchesReceived: [Int64] = []
    package var journal: [JournalEntry] = []
    package var batches: [BatchRecord] = []
    /// Removes entries whose first sequence is below.
    package var deleteJournalBefore: UInt64?
    package var addSegments: [(CatalogSegment, [CatalogSegmentEntity])] = []
    /// What segments of several days count for in the totals of entities and of types, by their place in `addSegments`.
    package var segmentDays: [Int: SegmentDays] = [:]
    package var markUnlinking: [Int64] = []
    /// Takes parts out of the index and records where their bytes lie; the segment's count of rows shrinks with them.
    package var addGone: [GonePart] = []
    /// Parts whose bytes are destroyed.
    package var freeGone: [PartKey] = []
    /// Removes segments together with their entity rows and what is recorded as gone of them.
    package var removeSegments: [Int64] = []
    package var entityDayDeltas: [DayCount] = []
    package var typeDayDeltas: [DayCount] = []
    package var nextSequence: UInt64?
    package var keyringGeneration: UInt64?
    /// Small named counters: added to.
    package var meta: [String: Int64] = [:]
    /// Small named values: replaced, after `meta` was added.
    package var setMeta: [String: Int64] = [:]
    /// Forgets batches received before this time.
    package var dropBatchesBefore: Int64?

    /// Plans are set by name.
    package var setPlans: [PlanRecord] = []
    package var addAudit: [AuditRow] = []
    package var addReceipts: [ReceiptRow] = []
    /// Sealed documents by name, replaced as a whole; empty bytes remove one.
    package var setDocuments: [String: [UInt8]] = [:]
    package var tallies: [EntityTally] = []
    package var arrivals: [EntityArrivals] = []
    /// Entities whose tallies and batch answers are forgotten.
    package var forgetEntities: [UInt32] = []

    package init() {}
}

/// A name that has enough users to be sealed under the store's key.
package struct SharedName: Sendable, Equatable {
    package var kind: Int
    package var number: UInt32
    package var sealed: [UInt8]

    package init(kind: Int, number: UInt32, sealed: [UInt8]) {
        self.kind = kind
        self.number = number
        self.sealed = sealed
    }
}

package struct CatalogCommit: Sendable, Equatable {
    /// Numbers of the added segments, in the order they were given.
    package var segments: [Int64]
}
