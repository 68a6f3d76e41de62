// How many events of which entity were refused or came too late: on its way to the catalog's table `tally`.

import EventStoreCatalog
import EventStoreCore

struct TallySet: Sendable {
    struct Count: Sendable, Equatable {
        var refused = 0
        var expired = 0
        static func + (a: Count, b: Count) -> Count {
            Count(refused: a.refused + b.refused, expired: a.expired + b.expired)
        }
    }
    private(set) var counts: [UInt32: Count] = [:]

    var isEmpty: Bool { counts.isEmpty }

    /// Events of entities the store does not have are nobody's.
    mutating func count(_ verdict: RowVerdict, entity: UInt32, _ events: Int = 1) {
        guard entity != NameTable.noNumber, events > 0 else { return }
        switch verdict {
        case .stored, .duplicate, .conflict: break
        case .expired: counts[entity, default: Count()].expired += events
        default: counts[entity, default: Count()].refused += events
        }
    }

    mutating func refuse(_ entity: UInt32, _ events: Int) {
        counts[entity, default: Count()].refused += events
    }

    mutating func merge(_ other: TallySet, _ add: (Count, Count) -> Count) {
        counts.merge(other.counts, uniquingKeysWith: add)
    }

    var records: [EntityTally] { records(adding: []) }

    /// These counts together with when the entities were last heard of.
    func records(adding heard: [EntityTally]) -> [EntityTally] {
        var left = counts
        var all = heard.map { tally in
            var tally = tally
            if let count = left.removeValue(forKey: tally.entity) {
                tally.refused += count.refused
                tally.expired += count.expired
            }
            return tally
        }
        for (entity, count) in left.sorted(by: { $0.key < $1.key }) {
            all.append(EntityTally(entity: entity, refused: count.refused, expired: count.expired))
        }
        return all
    }
}

extension NameTable {
    /// Refusals by entity name, as far as the store has the entities.
    func tallies(refused: [String: Int]) -> TallySet {
        var tallies = TallySet()
        for (name, count) in refused {
            if let number = number(ofEntity: name) { tallies.refuse(number, count) }
        }
        return tallies
    }
}
