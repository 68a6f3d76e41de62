// Setting, showing and loading the budgets of a store.

import EventStoreCatalog
import EventStoreCore

extension StoreEngine {
    /// What a writer needs to know before the first append. Called once, at open.
    func prepareRoom() throws(Fault) {
        let lane = try writer()
        let budget = try StoredBudget.load(context)
        let day = CivilDate.day(ms: context.environment.nowMs())
        let arrivals = try context.catalog.read { (reader) throws(Fault) in try reader.arrivals() }
        context.room.ledger.load(arrivals, day: day)
        context.room.set(budget)
        let segments = lane.published.withLock { $0.segments }
        do throws(Fault) {
            try context.room.reserve.make(storeBytes: segments.all.reduce(0) { $0 + $1.info.fileBytes })
        } catch {
            // A store without it works until the disk is full.
            StoreLog.logger.warning("nothing could be set aside for a full disk: \(error)")
        }
    }

    func setBudget(_ wanted: BudgetChange) throws(Fault) {
        let lane = try writer()
        let numbers = [wanted.maxBytes, wanted.minFree, wanted.eventsPerDay, wanted.bytesPerDay]
        guard numbers.allSatisfy({ $0 ?? 0 >= 0 }) else { throw Fault(.invalid, "a budget is not negative") }
        guard wanted.entity == nil || wanted.maxBytes == nil && wanted.minFree == nil else {
            throw Fault(.invalid, "maxBytes and minFree are the store's, not an entity's")
        }
        let record = try wanted.entity.map { (name) throws(Fault) in try lifeRecord(name) }
        var budget = StoredBudget()
        try lane.exclusively { () throws(Fault) in
            budget = context.room.ledger.budget
            budget.apply(wanted, to: record?.number)
            var change = CatalogChange()
            change.setDocuments[StoredBudget.documentName] = try context.sealed(
                document: StoredBudget.documentName, of: budget)
            try lane.record(
                [
                    AuditEntry(
                        operation: "budget.set", entity: record?.number, blindName: record?.tag.hexText, reason: nil,
                        details: wanted.details, actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
            context.room.set(budget)
        }
    }

    func budget() throws(Fault) -> BudgetReport {
        let stored = try stored()
        let budget = try StoredBudget.load(context)
        let arrivals = try context.catalog.read { (reader) throws(Fault) in try reader.arrivals() }
        let day = CivilDate.day(ms: context.environment.nowMs())
        var use: [UInt32: EntityArrivals] = [:]
        for row in arrivals where row.day == day { use[row.entity] = row }
        let numbers = Set(use.keys).union(budget.own.keys)
        let entities = numbers.compactMap { number -> BudgetReport.Entity? in
            guard let name = context.names.entityName(number) else { return nil }
            return BudgetReport.Entity(
                name: name, budget: budget.budget(of: number), isOwn: budget.own[number] != nil,
                events: use[number]?.events ?? 0, bytes: use[number]?.bytes ?? 0)
        }
        return BudgetReport(
            maxBytes: budget.maxBytes, minFree: budget.minFree,
            each: EntityBudget(
                eventsPerDay: StoredBudget.shown(budget.each.events), bytesPerDay: StoredBudget.shown(budget.each.bytes)
            ),
            storeBytes: try context.room.measure(stored.segments),
            freeBytes: try context.environment.files.freeBytes(context.files.root),
            entities: entities.sorted { $0.name < $1.name })
    }
}

extension StoredBudget {
    static func shown(_ limit: Int?) -> Int? { limit.flatMap { $0 > 0 ? $0 : nil } }

    func budget(of entity: UInt32) -> EntityBudget {
        EntityBudget(
            eventsPerDay: StoredBudget.shown(own[entity]?.events ?? each.events),
            bytesPerDay: StoredBudget.shown(own[entity]?.bytes ?? each.bytes))
    }

    mutating func apply(_ change: BudgetChange, to entity: UInt32?) {
        if let bytes = change.maxBytes { maxBytes = StoredBudget.shown(bytes) }
        if let bytes = change.minFree { minFree = StoredBudget.shown(bytes) }
        var day = each
        if let entity { day = change.resetsEntity ? Day() : own[entity] ?? Day() }
        if let events = change.eventsPerDay { day.events = events }
        if let bytes = change.bytesPerDay { day.bytes = bytes }
        if let entity { own[entity] = day.isEmpty ? nil : day } else { each = day }
    }
}

extension BudgetChange {
    /// For the audit chain.
    fileprivate var details: [String: String] {
        var details: [String: String] = [:]
        func note(_ name: String, _ value: Int?) {
            if let value { details[name] = value > 0 ? "\(value)" : "none" }
        }
        note("max-bytes", maxBytes)
        note("min-free", minFree)
        note("events-per-day", eventsPerDay)
        note("bytes-per-day", bytesPerDay)
        if resetsEntity { details["reset"] = "true" }
        return details
    }
}
