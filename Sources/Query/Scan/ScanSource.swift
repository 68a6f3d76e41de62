// What execution needs of a store: its units of rows, pruned by the index, and the names behind the numbers.

import EventStoreCore
import EventStoreSegments

/// What a condition says of the columns that the index knows. Numbers of the store, `nil` is all.
package struct ScanScope: Sendable {
    /// Ascending.
    package var entities: [UInt32]?
    package var types: [UInt32]?
    /// Milliseconds, both inclusive.
    package var times: ClosedRange<Int64> = .min ... .max
    /// Nothing can match.
    package var isEmpty = false

    package init() {}

    package func wants(entity: UInt32) -> Bool { entities?.contains(entity) ?? true }
    package func wants(type: UInt32) -> Bool { types?.contains(type) ?? true }
}

/// Rows that are scanned together: entities of a segment that lie side by side, or batches in memory.
package struct ScanUnit: Sendable {
    package enum Rows: Sendable {
        /// Entries in ascending order of place. Blocks `slice.index` of `slice.count` equal shares of their blocks.
        case segment(entries: [SegmentEntityEntry], slice: Slice)
        case memory([RowBatch])
    }

    /// A part of one entity's blocks, for entities too big for one unit.
    package struct Slice: Sendable, Hashable {
        package var index = 0
        package var count = 1
        package init() {}
    }

    package var key: UnitKey
    package var rows: Rows
    /// Milliseconds, both inclusive.
    package var times: ClosedRange<Int64>
    /// By the index; exact unless it is a slice.
    package var rowCount: Int
    /// What the index says of whole entities, added up; `nil` when nobody made it.
    package var index: UnitIndex?
    /// Rows before it are not to be seen, whatever is asked for.
    package var since = Int64.min

    package init(
        key: UnitKey, rows: Rows, times: ClosedRange<Int64>, rowCount: Int, index: UnitIndex? = nil
    ) {
        self.key = key
        self.rows = rows
        self.times = times
        self.rowCount = rowCount
        self.index = index
    }

    var isMemory: Bool { if case .memory = rows { true } else { false } }
}

/// The index of a unit of whole entities, close together: what counting reads.
package final class UnitIndex: Sendable {
    package let entities: [UInt32]
    /// Rows of each of `entities`.
    package let rows: [Int]
    /// Over all of them, ascending by type.
    package let types: [TypeCount]

    package init(_ entries: [SegmentEntityEntry]) {
        entities = entries.map(\.entity)
        rows = entries.map(\.rows)
        // Numbers of types are small.
        var sums: [Int] = []
        for entry in entries {
            for count in entry.types {
                let number = Int(count.type)
                if number >= sums.count { sums += repeatElement(0, count: number + 1 - sums.count) }
                sums[number] += count.rows
            }
        }
        types = sums.indices.filter { sums[$0] > 0 }.map { TypeCount(type: UInt32($0), rows: sums[$0]) }
    }
}

/// The units a query reads, and what was left out.
package struct UnitPlan: Sendable {
    package var units: [ScanUnit]
    /// Segments and entities-in-segments there are, and how many the index ruled out.
    package var segments = 0
    package var segmentsPruned = 0
    package var entries = 0
    package var entriesPruned = 0
    package init(units: [ScanUnit]) { self.units = units }
}

/// A snapshot of a store, as execution sees it.
package protocol ScanSource: AnyObject, Sendable {
    func plan(_ scope: ScanScope) throws(Fault) -> UnitPlan
    func reader(segment: Int64) throws(Fault) -> SegmentReader
    /// One per thread.
    func makeSealer() -> any BlockSealer
    func entityNumber(_ name: Text) -> UInt32?
    func typeNumber(_ name: Text) -> UInt32?
    func attributeNumber(_ name: String) -> UInt32?
    func entityName(_ number: UInt32) -> String
    /// Calls `body` with the name of each entity, in order: where there are many, and bytes will do.
    func withEntityNames(_ numbers: [UInt32], _ body: (UnsafeRawBufferPointer) -> Void)
    func typeName(_ number: UInt32) -> String
    func attributeName(_ number: UInt32) -> String
    /// Number of events by entity, type or in all, from the totals; `nil` when rows must be looked at.
    func counts(by key: TotalsKey, _ scope: ScanScope) throws(Fault) -> [(key: SQLValue, count: Int)]?
}

/// What the store keeps totals by.
package enum TotalsKey: Sendable { case all, entity, type }
