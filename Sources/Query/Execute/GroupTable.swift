// Groups: rows to numbers of groups, through codes local to a unit first and values second.

import EventStoreCore

/// The groups a worker has met. Keys are told apart by SQL's equality.
final class GroupTable {
    let keyCount: Int
    private(set) var interners: [ValueInterner]
    /// Of any count of keys but one: their codes, as bytes; a group's number is the code of its tuple.
    private var tuples = StringTable(capacity: 64)
    /// Of one key alone: its code by group, and group + 1 by code, 0 where there is none yet.
    @exclusivity(unchecked) private var codes = GrowableBuffer<UInt32>()
    @exclusivity(unchecked) private var byCode = GrowableBuffer<UInt32>()
    let accumulators: [any Accumulator]

    init(keyCount: Int, accumulators: [any Accumulator]) {
        self.keyCount = keyCount
        self.accumulators = accumulators
        interners = (0..<keyCount).map { _ in ValueInterner() }
        if keyCount == 0 {
            addGroup([])
            growStates()
        }
    }

    var count: Int { keyCount == 1 ? codes.count : tuples.count }
    var byteCount: Int {
        tuples.byteCount + codes.byteCount + byCode.byteCount + interners.reduce(0) { $0 + $1.byteCount }
            + accumulators.reduce(0) { $0 + $1.byteCount }
    }

    /// The group of these codes, new or known.
    @discardableResult
    private func addGroup(_ codes: [UInt32]) -> UInt32 {
        keyCount == 1 ? group(ofCode: codes[0]) : codes.withUnsafeBytes { tuples.intern($0) }
    }

    /// After groups were added, before anything is added to them.
    private func growStates() { for accumulator in accumulators { accumulator.grow(to: count) } }

    /// The group of a code of the only key.
    @inline(__always)
    private func group(ofCode code: UInt32) -> UInt32 {
        if Int(code) < byCode.count, byCode.base[Int(code)] != 0 { return byCode.base[Int(code)] &- 1 }
        return newGroup(ofCode: code)
    }

    @inline(never)
    private func newGroup(ofCode code: UInt32) -> UInt32 {
        let group = UInt32(truncatingIfNeeded: codes.count)
        codes.append(code)
        if Int(code) >= byCode.count { byCode.resize(to: Int(code) + 1, filling: 0) }
        byCode.base[Int(code)] = group + 1
        return group
    }

    /// The group of these values, new or known.
    func group(_ values: [SQLValue]) -> Int {
        let group = Int(addGroup(zip(interners, values).map { $0.code($1) }))
        growStates()
        return group
    }

    func key(_ group: Int, _ number: Int) -> SQLValue { interners[number].value(code(group, number)) }

    private func code(_ group: Int, _ number: Int) -> UInt32 {
        if keyCount == 1 { return codes.base[group] }
        return tuples.bytes(group).loadUnaligned(fromByteOffset: number * 4, as: UInt32.self)
    }

    // MARK: Rows of a unit

    /// One key over the rows of a unit: codes below `count`, and what they mean.
    private struct LocalKey {
        var codes: UnsafePointer<UInt32>
        var count: Int
        var resolve: (UInt32) -> UInt32
    }

    /// More combinations of codes than this are not told apart by a table.
    private static let directMax = 1 << 16

    /// The group of each row.
    func assign(_ keys: [Dense], count: Int, _ scratch: Scratch) -> UnsafeMutablePointer<UInt32> {
        let groups = scratch.take(count, of: UInt32.self)
        if keyCount == 0 {
            groups.update(repeating: 0, count: count)
            return groups
        }
        defer { growStates() }
        if keyCount == 1, assign(shared: keys[0], groups) { return groups }
        let locals = keys.enumerated().map { local($0.element, interners[$0.offset], scratch) }
        var codes = locals[0].codes
        var size = locals[0].count
        for local in locals.dropFirst() {
            if size.multipliedReportingOverflow(by: local.count).overflow || size * local.count > GroupTable.directMax,
                size > count
            {
                (codes, size) = condense(codes, count, scratch)
            }
            (codes, size) = combine(codes, size, local, count, scratch)
        }
        if size > max(GroupTable.directMax, 4 * count) { (codes, size) = condense(codes, count, scratch) }
        let table = scratch.take(size, of: UInt32.self)
        table.update(repeating: .max, count: size)
        var tuple = [UInt32](repeating: 0, count: keyCount)
        for index in 0..<count {
            let code = Int(codes[index])
            if table[code] == .max {
                for (place, local) in locals.enumerated() { tuple[place] = local.resolve(local.codes[index]) }
                table[code] = addGroup(tuple)
            }
            groups[index] = table[code]
        }
        return groups
    }

    /// By codes that units have in common, where a table of the unit's own would be large for its few rows; false when
    /// there are none.
    private func assign(shared key: Dense, _ groups: UnsafeMutablePointer<UInt32>) -> Bool {
        guard case .codes(let codes, let dictionary) = key.form, dictionary.count * 4 > key.count,
            let shared = dictionary.shared, interners[0].takes(shared)
        else { return false }
        let interner = interners[0]
        withExtendedLifetime(shared) {
            let map = shared.codes
            for index in 0..<key.count {
                groups[index] = group(ofCode: interner.code(shared: map[Int(codes[index])]))
            }
        }
        return true
    }

    /// Pairs of codes as one code; condensed when there would be too many.
    private func combine(
        _ codes: UnsafePointer<UInt32>, _ size: Int, _ local: LocalKey, _ count: Int, _ scratch: Scratch
    ) -> (UnsafePointer<UInt32>, Int) {
        let (product, overflow) = size.multipliedReportingOverflow(by: local.count)
        let target = scratch.take(count, of: UInt32.self)
        if !overflow, product <= Int(UInt32.max) {
            let factor = UInt32(truncatingIfNeeded: local.count)
            for index in 0..<count { target[index] = codes[index] &* factor &+ local.codes[index] }
            return (UnsafePointer(target), product)
        }
        var seen = CodeTable(capacity: count)
        for index in 0..<count {
            target[index] = seen.code(UInt64(codes[index]) << 32 | UInt64(local.codes[index]))
        }
        return (UnsafePointer(target), seen.count)
    }

    /// The same codes, without gaps.
    private func condense(
        _ codes: UnsafePointer<UInt32>, _ count: Int, _ scratch: Scratch
    ) -> (UnsafePointer<UInt32>, Int) {
        let target = scratch.take(count, of: UInt32.self)
        var seen = CodeTable(capacity: count)
        for index in 0..<count { target[index] = seen.code(UInt64(codes[index])) }
        return (UnsafePointer(target), max(seen.count, 1))
    }

    private func local(_ key: Dense, _ interner: ValueInterner, _ scratch: Scratch) -> LocalKey {
        let count = key.count
        switch key.form {
        case .codes(let codes, let dictionary):
            let shared = dictionary.shared.flatMap { interner.takes($0) ? $0 : nil }
            return LocalKey(codes: UnsafePointer(codes), count: dictionary.count + 1) { code in
                if code == 0 { return 0 }
                if let shared { return interner.code(shared: shared.codes[Int(code)]) }
                if dictionary.isText { return interner.code(text: dictionary.bytes(code)) }
                return interner.code(dictionary.value(code))
            }
        case .constant(let value):
            let codes = scratch.take(count, of: UInt32.self)
            codes.update(repeating: 0, count: count)
            return LocalKey(codes: UnsafePointer(codes), count: 1) { _ in interner.code(value) }
        case .integers(let values):
            return integers(values, key.nulls, count, interner, scratch)
        case .doubles, .values:
            let codes = scratch.take(count, of: UInt32.self)
            for index in 0..<count { codes[index] = interner.code(key.value(index)) }
            return LocalKey(codes: UnsafePointer(codes), count: interner.count + 1) { $0 }
        }
    }

    private func integers(
        _ values: UnsafeMutablePointer<Int64>, _ nulls: UnsafeMutablePointer<UInt8>?, _ count: Int,
        _ interner: ValueInterner, _ scratch: Scratch
    ) -> LocalKey {
        let codes = scratch.take(count, of: UInt32.self)
        var seen = CodeTable(capacity: 256)
        let distinct = IntegerCoder()
        var last: Int64 = 0
        var lastCode: UInt32 = 0
        for index in 0..<count {
            if let nulls, nulls[index] != 0 {
                codes[index] = 0
                continue
            }
            let value = values[index]
            if lastCode == 0 || value != last {
                last = value
                lastCode = seen.code(UInt64(bitPattern: value)) &+ 1
                if Int(lastCode) > distinct.values.count { distinct.values.append(value) }
            }
            codes[index] = lastCode
        }
        return LocalKey(codes: UnsafePointer(codes), count: seen.count + 1) { code in
            code == 0 ? 0 : interner.code(integer: distinct.values.base[Int(code) - 1])
        }
    }

    // MARK: Merging

    func merge(_ other: GroupTable) {
        var map: [UInt32] = []
        map.reserveCapacity(other.count)
        var codes = [UInt32](repeating: 0, count: keyCount)
        for group in 0..<other.count {
            for number in 0..<keyCount {
                codes[number] = interners[number].code(other.interners[number], other.code(group, number))
            }
            map.append(addGroup(codes))
        }
        growStates()
        for (mine, theirs) in zip(accumulators, other.accumulators) { mine.merge(theirs, map) }
    }
}

/// The distinct integers of a key in one unit.
private final class IntegerCoder {
    var values = GrowableBuffer<Int64>()
}

/// Numbers to codes 0, 1, 2 … in order of first appearance.
struct CodeTable: ~Copyable {
    private var keys = GrowableBuffer<UInt64>()
    /// Code + 1, or 0 for a free slot.
    private var slots = GrowableBuffer<UInt32>()
    private var mask: Int
    private(set) var count = 0

    init(capacity: Int) {
        var size = 64
        while size < capacity { size *= 2 }
        size = min(size, 1 << 12)
        keys.resize(to: size, filling: 0)
        slots.resize(to: size, filling: 0)
        mask = size - 1
    }

    @inline(__always)
    mutating func code(_ key: UInt64) -> UInt32 {
        var slot = Int(truncatingIfNeeded: Hash.mix(key, 0x9e37_79b9_7f4a_7c15)) & mask
        while slots.base[slot] != 0 {
            if keys.base[slot] == key { return slots.base[slot] &- 1 }
            slot = (slot &+ 1) & mask
        }
        keys.base[slot] = key
        count += 1
        slots.base[slot] = UInt32(truncatingIfNeeded: count)
        if count * 2 > mask { grow() }
        return UInt32(truncatingIfNeeded: count - 1)
    }

    @inline(never)
    private mutating func grow() {
        let size = (mask + 1) * 4
        var freshKeys = GrowableBuffer<UInt64>(capacity: size)
        var freshSlots = GrowableBuffer<UInt32>(capacity: size)
        freshKeys.resize(to: size, filling: 0)
        freshSlots.resize(to: size, filling: 0)
        for index in 0...mask where slots.base[index] != 0 {
            var slot = Int(truncatingIfNeeded: Hash.mix(keys.base[index], 0x9e37_79b9_7f4a_7c15)) & (size - 1)
            while freshSlots.base[slot] != 0 { slot = (slot &+ 1) & (size - 1) }
            freshKeys.base[slot] = keys.base[index]
            freshSlots.base[slot] = slots.base[index]
        }
        keys = freshKeys
        slots = freshSlots
        mask = size - 1
    }
}
