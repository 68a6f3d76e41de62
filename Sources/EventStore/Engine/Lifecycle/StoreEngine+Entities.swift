// What can be done with an entity short of erasing it, and with plans. Each is one commit with its audit record.

import EventStoreCatalog
import EventStoreCore
import Foundation

extension Fault.Code {
    /// A step in an entity's life that does not lead on from where it is.
    static let wrongState = Fault.Code(rawValue: "wrong-state")
}

extension StoreEngine {
    private var lives: LifeTable { context.names.lives }

    /// The record of an entity that is there.
    func lifeRecord(_ name: String) throws(Fault) -> EntityRecord {
        guard let number = context.names.number(ofEntity: name), let record = lives.record(number), !record.isErased
        else { throw Fault(.notFound, "there is no entity '\(name)'; `entity list` shows all") }
        return record
    }

    /// Runs one change of an entity: what is committed with it is what `edit` leaves in the record. Returns whether that
    /// is another than there was.
    private func change(
        _ name: String, _ operation: String, reason: String?, details: [String: String] = [:],
        _ edit: (inout EntityRecord) throws(Fault) -> Void
    ) throws(Fault) -> Bool {
        let lane = try writer()
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        return try changeLocked(lane, name, operation, reason: reason, details: details, edit)
    }

    private func changeLocked(
        _ lane: WriterLane, _ name: String, _ operation: String, reason: String?, details: [String: String],
        _ edit: (inout EntityRecord) throws(Fault) -> Void
    ) throws(Fault) -> Bool {
        try lane.exclusively { () throws(Fault) in
            // Its record may still wait for its first commit.
            var record = try lifeRecord(name)
            let blindName = record.tag.hexText
            let before = record
            try edit(&record)
            guard record != before else { return false }
            var change = CatalogChange()
            change.updateEntities = [record]
            try lane.record(
                [
                    AuditEntry(
                        operation: operation, entity: record.number, blindName: blindName, reason: reason,
                        details: details.isEmpty ? nil : details, actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
            return true
        }
    }

    // MARK: Adding and renaming

    func addEntity(_ name: String, plan: String?, days: Int?, reason: String?) throws(Fault) {
        let lane = try writer()
        let plan = plan ?? context.settings.defaultPlan
        try Plans.check(plan, among: lives.plans)
        try StoreEngine.check(days: days)
        guard (1...Limits.entityNameBytesMax).contains(name.utf8.count) else {
            throw Fault(.invalid, "an entity's name has 1 to \(Limits.entityNameBytesMax) bytes")
        }
        maintenance.lock()
        defer { maintenance.unlock() }
        try lane.exclusively { () throws(Fault) in
            let number = try context.names.add(entity: name, plan: plan)
            var change = CatalogChange()
            var details = ["plan": plan]
            if let days, var record = lives.record(number) {
                record.days = days
                change.updateEntities = [record]
                details["days"] = "\(days)"
            }
            try lane.record(
                [
                    AuditEntry(
                        operation: "entity.add", entity: number, blindName: lives.record(number)?.tag.hexText,
                        reason: reason, details: details, actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
    }

    /// Days an entity or a plan keeps: at most a hundred years.
    static let daysMax = 36_500

    private static func check(days: Int?) throws(Fault) {
        if let days, !(1...daysMax).contains(days) { throw Fault(.invalid, "days are 1 to \(daysMax)") }
    }

    func rename(_ name: String, to new: String, reason: String?) throws(Fault) {
        let names = context.names
        var number: UInt32?
        _ = try change(name, "entity.rename", reason: reason) { (record) throws(Fault) in
            record = try names.renaming(record, to: new)
            number = record.number
        }
        if let number { names.renamed(number, to: new) }
        // Units of the cache hold names as texts.
        context.columnCache.purge()
    }

    // MARK: Plans

    func setPlan(_ name: String, plan: String?, days: Int?, reason: String?) throws(Fault) {
        let lane = try writer()
        if let plan { try Plans.check(plan, among: lives.plans) }
        try StoreEngine.check(days: days)
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        let record = try lifeRecord(name)
        let number = record.number
        // A clock that leapt must not make data expire by another door than the sweep's.
        if lives.days(record) > 0 || plan != nil || days != nil {
            try clock.check(context.environment, confirmed: try isEmpty(number))
        }
        // What has expired under the old plan stays gone under any other.
        _ = try sweepLocked(lane, entities: [number], dryRun: false)
        var details: [String: String] = [:]
        if let plan { details["plan"] = plan }
        if let days { details["days"] = "\(days)" }
        _ = try changeLocked(lane, name, "entity.set-plan", reason: reason, details: details) {
            (record) throws(Fault) in
            if let plan {
                record.plan = plan
                record.days = 0
            }
            if let days { record.days = days }
        }
        _ = try sweepLocked(lane, entities: [number], dryRun: false)
    }

    func setStorePlan(_ name: String, days: Int?) throws(Fault) {
        let lane = try writer()
        guard (1...100).contains(name.utf8.count), days.map({ (1...StoreEngine.daysMax).contains($0) }) ?? true else {
            throw Fault(.invalid, "a plan has a name of 1 to 100 bytes and 1 to 36500 days, or keeps for ever")
        }
        maintenance.lock()
        defer {
            maintenance.unlock()
            lane.announceFlush()
        }
        let isUsed = lives.records.contains { $0.plan == name && !$0.isErased }
        try clock.check(context.environment, confirmed: !isUsed)
        if isUsed { _ = try sweepLocked(lane, entities: nil, dryRun: false) }
        try lane.exclusively { () throws(Fault) in
            var change = CatalogChange()
            change.setPlans = [PlanRecord(name: name, days: days ?? 0)]
            try lane.record(
                [
                    AuditEntry(
                        operation: "plan.set", entity: nil, blindName: nil, reason: nil,
                        details: ["plan": name, "days": days.map { "\($0)" } ?? "forever"], actor: .own)
                ], in: &change)
            _ = try lane.commit(change)
        }
        if isUsed { _ = try sweepLocked(lane, entities: nil, dryRun: false) }
    }

    func plans() throws(Fault) -> [Plan] {
        _ = try snapshot()
        return lives.plans.map { Plan(name: $0.key, days: $0.value == 0 ? nil : $0.value) }
            .sorted { ($0.days ?? .max, $0.name) < ($1.days ?? .max, $1.name) }
    }

    // MARK: States

    /// A step to the state an entity is in changes nothing and is not recorded; one that is no step from there throws
    /// `wrong-state`. Returns whether anything changed.
    func suspend(_ name: String, reason: String?) throws(Fault) -> Bool {
        try change(name, "entity.suspend", reason: reason) { (record) throws(Fault) in
            guard record.life == .active || record.life == .suspended else {
                throw StoreEngine.wrongState(name, record, "suspended")
            }
            record.state = LifeState.suspended.rawValue
        }
    }

    func resume(_ name: String, reason: String?) throws(Fault) -> Bool {
        try change(name, "entity.resume", reason: reason) { (record) throws(Fault) in
            record.state = LifeState.active.rawValue
            record.eraseAtMs = 0
        }
    }

    /// - Parameter eraseAfterMs: when to erase at the latest, from now; needed where data is kept for ever. Of an entity
    ///   that is cancelled already it sets the moment anew.
    func cancel(_ name: String, eraseAfterMs: Int64?, reason: String?) throws(Fault) -> Bool {
        if let eraseAfterMs, !(0...Int64(StoreEngine.daysMax) * Limits.msPerDay).contains(eraseAfterMs) {
            throw Fault(.invalid, "an entity is erased after 0 to \(StoreEngine.daysMax) days")
        }
        let now = context.environment.nowMs()
        let lives = lives
        let details = eraseAfterMs.map { ["erase-at": TimestampText.utc(now + $0)] } ?? [:]
        return try change(name, "entity.cancel", reason: reason, details: details) { (record) throws(Fault) in
            if record.life == .cancelled, eraseAfterMs == nil { return }
            if eraseAfterMs == nil, lives.days(record) == 0 {
                throw Fault(
                    .invalid, "the data of '\(name)' is kept for ever: say when to erase it, e.g. --erase-after 30d")
            }
            record.state = LifeState.cancelled.rawValue
            record.eraseAtMs = eraseAfterMs.map { now + $0 } ?? 0
        }
    }

    private static func wrongState(_ name: String, _ record: EntityRecord, _ wanted: String) -> Fault {
        Fault(
            .wrongState,
            "'\(name)' is \(record.life) and cannot be \(wanted); `entity resume` makes it active first")
    }
}
