// Finds the values that at least k entities of a segment use, and numbers them per attribute. Attributes and
// values that can identify a person are never among them.

import EventStoreCore

final class VocabularyBuilder {
    private struct Slot: BitwiseCopyable {
        /// Attribute << 32 | string number.
        var key: UInt64
        /// Entity last seen + 1; 0 marks a free slot.
        var lastEntity: UInt32
        var entities: UInt32
        /// Number in the vocabulary, or `notShared`.
        var number: UInt32
    }

    /// The shared values of one attribute, by number.
    struct Attribute {
        var attribute: UInt32
        var strings: [UInt32]
    }

    private var slots = GrowableBuffer<Slot>()
    private var mask = 0
    private var used = 0
    private(set) var attributes: [Attribute] = []
    var isEmpty: Bool { attributes.isEmpty }

    init() { clear() }

    func clear() {
        if mask != 4095 {
            slots = GrowableBuffer(capacity: 4096)
            mask = 4095
        }
        slots.truncate(to: 0)
        slots.resize(to: mask + 1, filling: VocabularyBuilder.free)
        used = 0
        attributes = []
    }

    private static let free = Slot(key: 0, lastEntity: 0, entities: 0, number: StringColumnInput.notShared)

    @inline(__always)
    private static func find(_ key: UInt64, _ slots: UnsafePointer<Slot>, _ mask: Int) -> Int {
        var place = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
        while slots[place].lastEntity != 0, slots[place].key != key { place = (place &+ 1) & mask }
        return place
    }

    /// Counts an entity's use of values. Calls come entity by entity.
    func count(attribute: UInt32, strings: UnsafePointer<UInt32>, count: Int, entity: UInt32) {
        let mark = entity &+ 1
        for index in 0..<count {
            let key = UInt64(attribute) << 32 | UInt64(strings[index])
            let table = slots.base
            let place = VocabularyBuilder.find(key, table, mask)
            if table[place].lastEntity == 0 {
                table[place] = Slot(key: key, lastEntity: mark, entities: 1, number: StringColumnInput.notShared)
                used += 1
                if used * 2 > mask { grow() }
            } else if table[place].lastEntity != mark {
                table[place].lastEntity = mark
                table[place].entities += 1
            }
        }
    }

    private func grow() {
        let old = slots.count
        var fresh = GrowableBuffer<Slot>(capacity: old * 4)
        fresh.resize(to: old * 4, filling: VocabularyBuilder.free)
        swap(&slots, &fresh)
        mask = slots.count - 1
        for index in 0..<old where fresh.base[index].lastEntity != 0 {
            slots.base[VocabularyBuilder.find(fresh.base[index].key, slots.base, mask)] = fresh.base[index]
        }
    }

    /// Chooses the shared values: the most used get the smallest numbers.
    func choose(entitiesMin: Int, _ rows: SegmentRows) {
        var chosen: [Int] = []
        for place in 0..<slots.count where slots.base[place].lastEntity != 0 {
            let slot = slots.base[place]
            if Int(slot.entities) < entitiesMin { continue }
            let text = rows.string(UInt32(truncatingIfNeeded: slot.key))
            if text.count <= VocabularyBuilder.valueBytesMax, !PersonalLook.matches(text) { chosen.append(place) }
        }
        chosen.sort { a, b in
            let (x, y) = (slots.base[a], slots.base[b])
            if x.key >> 32 != y.key >> 32 { return x.key < y.key }
            return x.entities != y.entities ? x.entities > y.entities : x.key < y.key
        }
        for place in chosen {
            let attribute = UInt32(truncatingIfNeeded: slots.base[place].key >> 32)
            if attributes.last?.attribute != attribute {
                attributes.append(Attribute(attribute: attribute, strings: []))
            }
            let last = attributes.count - 1
            guard attributes[last].strings.count < Limits.vocabularyEntriesMax else { continue }
            slots.base[place].number = UInt32(attributes[last].strings.count)
            attributes[last].strings.append(UInt32(truncatingIfNeeded: slots.base[place].key))
        }
    }

    /// Longer values are no words that sites share.
    static let valueBytesMax = 1024

    func has(attribute: UInt32) -> Bool { attributes.contains { $0.attribute == attribute } }

    /// The numbers of values in the vocabulary, `notShared` for others; false when none has one.
    func number(
        attribute: UInt32, strings: UnsafePointer<UInt32>, count: Int, into target: UnsafeMutablePointer<UInt32>
    ) -> Bool {
        let table = slots.base
        var isAny = false
        for index in 0..<count {
            let place = VocabularyBuilder.find(UInt64(attribute) << 32 | UInt64(strings[index]), table, mask)
            let number = table[place].lastEntity == 0 ? StringColumnInput.notShared : table[place].number
            if number != StringColumnInput.notShared { isAny = true }
            target[index] = number
        }
        return isAny
    }
}
