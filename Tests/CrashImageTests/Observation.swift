// What can be seen of a store, in a form that compares: the same before a crash and after it, or as far on as the step
// that was under way would have brought it.

import EventStoreCore
import EventStoreSimulation
import Foundation

@testable import EventStore

struct Observation: Equatable {
    /// One line an event, in the order of sequences: all of it.
    var events: [String] = []
    /// Entities, plans, receipts, keys.
    var state: [String] = []
    /// Operations of the audit chain, in order.
    var audit: [String] = []
    /// Records of a keyring that was found ahead of the catalog: a crash came between the two.
    var found = 0

    var sequences: Set<UInt64> { Set(events.compactMap { UInt64($0.prefix { $0 != " " }) }) }

    init() {}

    init(_ store: BlockingEventStore) throws {
        let cursor = try store.cursor(EventFilter(), order: .oldestFirst)
        var all: [Event] = []
        while let batch = try cursor.nextBatch() { for index in 0..<batch.count { all.append(batch[index]) } }
        events = all.sorted { $0.sequence < $1.sequence }.map(Observation.line)
        state = try store.entities().map { entity in
            "entity \(entity.name) #\(entity.number) \(entity.state) \(entity.plan) \(entity.days ?? 0) "
                + "events \(entity.events) erase at \(entity.eraseAtMs ?? 0)"
        }
        state += try store.plans().map { "plan \($0.name) \($0.days ?? 0)" }
        state += try store.receipts().map { "receipt \($0.text)" }
        let keys = try store.keyStatus()
        state += keys.slots.map { "slot \($0.id)" } + keys.tombstones.map { "tombstone \($0.id)" }
        state.append("key backup \(keys.backup?.path ?? "-") lacks \(keys.backup?.entitiesMissing ?? 0)")
        state += keys.copies.map { "copy \($0.path)" }
        let records = try store.auditRecords()
        found = records.count { $0.operation == "key.found-changed" }
        audit = records.filter { $0.operation != "key.found-changed" }.map {
            "\($0.operation) \($0.entityNumber ?? 0) \($0.timeMs)"
        }
    }

    static func line(_ event: Event) -> String {
        let attributes = event.attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "\(event.sequence) \(event.received) \(event.entity) \(event.type) \(event.timestamp) "
            + "\(event.id?.uuidString ?? "-") " + attributes.joined(separator: " ")
    }

    /// Whether a store that is found like this may come from `old` or `new`, or what is wrong.
    func difference(_ old: Observation, _ new: Observation, allowsParts: Bool) -> String? {
        if let repeated = Dictionary(grouping: events, by: { $0 }).first(where: { $0.value.count > 1 }) {
            return "stored twice: \(repeated.key)"
        }
        for known in [old, new] where events == known.events && state == known.state {
            if audit == known.audit { return nil }
            // The keyring had changed and the catalog had not: said so by the next process.
            if audit == old.audit, found > old.found { return nil }
        }
        if allowsParts { return partsDiffer(old, new) }
        return "neither before nor after: " + describe(old) + "; " + describe(new)
    }

    /// Several commits of one step: each line is of before or of after, and how many events there are lies between.
    private func partsDiffer(_ old: Observation, _ new: Observation) -> String? {
        func uncounted(_ lines: [String]) -> [String] {
            lines.map { line in
                guard line.hasPrefix("entity "), let count = line.range(of: " events ") else { return line }
                return line[..<count.lowerBound] + String(line[count.upperBound...].drop { $0.isNumber })
            }
        }
        let known = Set(old.events + new.events + uncounted(old.state + new.state) + old.audit + new.audit)
        let kept = Set(old.events).intersection(new.events)
        if let lost = kept.subtracting(events).first { return "lost: \(lost)" }
        return (events + uncounted(state) + audit).first { !known.contains($0) }.map {
            "neither before nor after: \($0)"
        }
    }

    private func describe(_ known: Observation) -> String {
        func part(_ name: String, _ here: [String], _ there: [String]) -> String? {
            let lost = there.filter { !here.contains($0) }
            let added = here.filter { !there.contains($0) }
            if lost.isEmpty, added.isEmpty { return here == there ? nil : "\(name) in another order" }
            return "\(name): \(lost.count) missing \(lost.prefix(2)), \(added.count) too many \(added.prefix(2))"
        }
        let parts = [
            part("events", events, known.events), part("state", state, known.state),
            part("audit", audit, known.audit),
        ]
        return "[" + parts.compactMap { $0 }.joined(separator: "; ") + ", found-changed \(found - known.found)]"
    }
}
