// Encoded columns that were read before, kept under a budget: what makes the second question cheap. No results.

import EventStoreCore
import Synchronization

/// A column of a unit, by name.
enum UnitColumnID: Hashable, Sendable {
    case entity, type, timestamp, sequence, received, id
    /// Four bytes of each id: enough to pass over the units that do not have one.
    case idHash
    case attribute(UInt32)
    /// Which attributes the unit has at all.
    case attributeList
}

/// An attribute as it begins in JSON.
struct NamedAttribute: Sendable {
    /// Its place in the list of attributes.
    var index: Int
    /// The name in quotes, and a colon.
    var prefix: [UInt8]
}

/// What was read of a column: one vector, and for attributes the vectors of each kind behind it.
final class UnitColumn: Sendable {
    let vector: Vector
    /// Not empty for attributes only; the JSON of an event needs to know a boolean from a number.
    let parts: [(kind: ValueKind, vector: Vector)]
    /// Of `attributeList`.
    let attributes: [UInt32]
    /// Of `attributeList`: the attributes in order of name, once they were asked for.
    private let layout = Mutex<[NamedAttribute]?>(nil)

    init(_ vector: Vector, parts: [(kind: ValueKind, vector: Vector)] = [], attributes: [UInt32] = []) {
        self.vector = vector
        self.parts = parts
        self.attributes = attributes
    }

    /// The attributes in order of name; made by the first who asks.
    func layout(_ make: ([UInt32]) -> [NamedAttribute]) -> [NamedAttribute] {
        layout.withLock { known in
            let found = known ?? make(attributes)
            known = found
            return found
        }
    }

    var byteCount: Int {
        var bytes = 200 + attributes.count * 100 + vector.byteCount
        if parts.count > 1 { bytes += parts.reduce(0) { $0 + $1.vector.byteCount } }
        return bytes
    }
}

/// Identity of a unit: the same number and part always have the same rows, since segments never change.
package struct UnitKey: Hashable, Sendable {
    package var segment: Int64
    package var part: UInt64
    package init(segment: Int64, part: UInt64) {
        self.segment = segment
        self.part = part
    }
}

/// Shared by all queries of a store. Evicts what was not used for longest, by second chance.
package final class ColumnCache: Sendable {
    private struct Key: Hashable {
        var unit: UnitKey
        var column: UnitColumnID
    }

    private struct Slot {
        var key: Key
        var column: UnitColumn
        var bytes: Int
        var wasUsed: Bool
    }

    /// A ring of slots with a hand: what the hand passes by loses its mark, what has none is evicted.
    private struct State {
        var index: [Key: Int] = [:]
        var slots: [Slot?] = []
        var free: [Int] = []
        var hand = 0
        var bytes = 0
        /// Bytes evicted since texts were last forgotten.
        var evicted = 0
    }

    private let state = Mutex(State())
    private let budget: Int
    /// Texts of the columns, so that they have the same codes in all units.
    private let texts: TextLedger

    package init(budget: Int) {
        self.budget = budget
        texts = TextLedger(budget: budget / 4)
    }

    package var byteCount: Int { state.withLock { $0.bytes } + texts.byteCount }

    /// What is known of these columns, in their order.
    func find(_ unit: UnitKey, _ columns: [UnitColumnID]) -> [UnitColumn?] {
        state.withLock { state in
            // Texts may have grown since.
            makeRoom(0, &state)
            return columns.map { column in
                guard let place = state.index[Key(unit: unit, column: column)] else { return nil }
                state.slots[place]?.wasUsed = true
                return state.slots[place]?.column
            }
        }
    }

    func add(_ unit: UnitKey, _ column: UnitColumnID, _ value: UnitColumn) {
        let bytes = value.byteCount
        guard bytes < budget / 4 else { return }
        if case .codes(let dictionary) = value.vector.form { dictionary.share(texts, column) }
        state.withLock { state in
            let key = Key(unit: unit, column: column)
            if state.index[key] != nil { return }
            makeRoom(bytes, &state)
            let slot = Slot(key: key, column: value, bytes: bytes, wasUsed: true)
            let place = state.free.popLast() ?? state.slots.count
            if place == state.slots.count { state.slots.append(slot) } else { state.slots[place] = slot }
            state.index[key] = place
            state.bytes += bytes
        }
    }

    private func makeRoom(_ bytes: Int, _ state: inout State) {
        let before = state.bytes
        while state.bytes + texts.byteCount + bytes > budget, !state.index.isEmpty { ColumnCache.evictOne(&state) }
        state.evicted += before - state.bytes
        // As much was evicted as there ever is: most texts are of columns that are gone.
        if state.evicted > budget { forgetTexts(&state) }
    }

    private func forgetTexts(_ state: inout State) {
        texts.reset()
        state.evicted = 0
    }

    private static func evictOne(_ state: inout State) {
        while true {
            if state.hand >= state.slots.count { state.hand = 0 }
            let place = state.hand
            state.hand += 1
            guard let slot = state.slots[place] else { continue }
            if !slot.wasUsed { return remove(place, &state) }
            state.slots[place]?.wasUsed = false
        }
    }

    private static func remove(_ place: Int, _ state: inout State) {
        guard let slot = state.slots[place] else { return }
        state.bytes -= slot.bytes
        state.index[slot.key] = nil
        state.slots[place] = nil
        state.free.append(place)
    }

    /// Forgets all of these segments; `nil` is everything.
    package func purge(segments: Set<Int64>? = nil) {
        state.withLock { state in
            forgetTexts(&state)
            guard let segments else {
                state = State()
                return
            }
            for place in state.slots.indices {
                guard let slot = state.slots[place], segments.contains(slot.key.unit.segment) else { continue }
                ColumnCache.remove(place, &state)
            }
        }
    }
}
