// Time and people: plans, the life of entities, retention, erasure, the audit chain. Every change is durable when the
// call returns and stands in the audit chain.

import EventStoreCore

extension BlockingEventStore {
    // MARK: Plans and entities

    /// All plans, shortest first.
    public func plans() throws(EventStoreError) -> [Plan] {
        try atTheDoor { () throws(Fault) in try engine.plans() }
    }

    /// Adds a plan or changes the days of one, for all entities that have it. What has expired stays gone; what a
    /// shorter plan makes expire goes at once.
    public func setPlan(_ plan: Plan) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.setStorePlan(plan.name, days: plan.days) }
    }

    /// Every entity, by name. Costs the index of all segments and the rows of the last day that no index counts.
    public func entities() throws(EventStoreError) -> [EntityInfo] {
        try atTheDoor { () throws(Fault) in try engine.entities() }
    }

    /// Adds an entity before it has events, with days of its own or those of its plan. Throws `exists`.
    public func addEntity(
        _ name: String, plan: String? = nil, days: Int? = nil, reason: String? = nil
    ) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.addEntity(name, plan: plan, days: days, reason: reason) }
    }

    /// Gives an entity another name. Its events have it at once; costs one sealed row.
    public func renameEntity(_ name: String, to new: String, reason: String? = nil) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.rename(name, to: new, reason: reason) }
    }

    /// Changes how long an entity's events are kept, at once: by another plan, by days of its own, or both. A longer
    /// plan keeps what has not expired; a shorter one drops what then has.
    public func setPlan(
        ofEntity name: String, plan: String? = nil, days: Int? = nil, reason: String? = nil
    ) throws(EventStoreError) {
        try atTheDoor { () throws(Fault) in try engine.setPlan(name, plan: plan, days: days, reason: reason) }
    }

    /// Refuses further writes of an entity. Returns whether anything changed: one that is suspended already stays so,
    /// and nothing is recorded. Throws `wrong-state` for a cancelled one.
    @discardableResult
    public func suspendEntity(_ name: String, reason: String? = nil) throws(EventStoreError) -> Bool {
        try atTheDoor { () throws(Fault) in try engine.suspend(name, reason: reason) }
    }

    /// Lets a suspended or cancelled entity write again. Returns whether anything changed.
    @discardableResult
    public func resumeEntity(_ name: String, reason: String? = nil) throws(EventStoreError) -> Bool {
        try atTheDoor { () throws(Fault) in try engine.resume(name, reason: reason) }
    }

    /// Refuses further writes; the data can be exported until it has lived out its retention, or until `eraseAfterMs`
    /// from now, then the entity is erased. Of an entity that is cancelled already a time given is set anew. Returns
    /// whether anything changed. Throws `invalid` when data kept for ever is given no time.
    @discardableResult
    public func cancelEntity(
        _ name: String, eraseAfterMs: Int64? = nil, reason: String? = nil
    ) throws(EventStoreError) -> Bool {
        try atTheDoor { () throws(Fault) in try engine.cancel(name, eraseAfterMs: eraseAfterMs, reason: reason) }
    }

    // MARK: Gone is gone

    /// Drops what has expired. A writing process does so by itself at every midnight UTC; readers see nothing of it
    /// from that moment on, swept or not. Costs the segments that go, not the events in them.
    ///
    /// - Parameter confirmed: goes on although the clock leapt by more than a day since the store was last written.
    /// - Throws: `clock` after such a leap.
    @discardableResult
    public func sweep(dryRun: Bool = false, confirmed: Bool = false) throws(EventStoreError) -> SweepReport {
        try atTheDoor { () throws(Fault) in try engine.sweep(dryRun: dryRun, confirmed: confirmed) }
    }

    /// Erases an entity at once and for good: its key is destroyed, so that it cannot be read in any copy made without
    /// the keyring, then its names, index and bytes. Gives a receipt.
    public func eraseEntity(_ name: String, reason: String? = nil) throws(EventStoreError) -> ErasureReport {
        try atTheDoor { () throws(Fault) in try engine.erase(name, reason: reason) }
    }

    /// The receipts of all erasures, oldest first.
    public func receipts() throws(EventStoreError) -> [ErasureReceipt] {
        try atTheDoor { () throws(Fault) in try engine.receipts() }
    }

    // MARK: Audit

    /// Records of the audit chain with a number above `number`, in order.
    public func auditRecords(after number: Int64 = 0) throws(EventStoreError) -> [AuditRecord] {
        try atTheDoor { () throws(Fault) in try engine.auditRecords(after: number) }
    }

    /// Checks the whole chain, and that it still contains the record a head that was kept elsewhere was the end at:
    /// without a head it cannot be told that the newest records were cut off.
    ///
    /// - Throws: `invalid` when `head` is no head of this store.
    public func verifyAudit(including head: AuditHead? = nil) throws(EventStoreError) -> AuditVerification {
        try atTheDoor { () throws(Fault) in try engine.verifyAudit(including: head) }
    }

    /// The signed end of the chain, to be kept elsewhere.
    public func auditHead() throws(EventStoreError) -> AuditHead {
        try atTheDoor { () throws(Fault) in try engine.auditHead() }
    }
}
