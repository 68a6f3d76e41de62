// Columns in memory, encoded: what the scan hands to execution and the cache keeps.
//
// A vector has one element for each row of a unit, over all the blocks in it, in as few bytes as its values allow:
// integers as an offset from the least, texts as codes of a dictionary. Rows of different kinds in one attribute
// are codes too; the dictionary then holds numbers beside texts.

import EventStoreCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Distinct texts being gathered for a dictionary; codes begin with 1.
final class DictionaryBuilder {
    /// Behind a pointer: a class's own stored values would be guarded at every access.
    private let texts = UnsafeMutablePointer<StringTable>.allocate(capacity: 1)

    init() { texts.initialize(to: StringTable(capacity: 16)) }

    deinit {
        texts.deinitialize(count: 1)
        texts.deallocate()
    }

    @inline(__always)
    func intern(_ bytes: UnsafeRawBufferPointer) -> UInt32 { texts.pointee.intern(bytes) &+ 1 }

    /// What was gathered, in no more memory than it needs.
    func finish() -> VectorDictionary {
        let count = texts.pointee.count
        let arena = texts.pointee.arena.base
        return VectorDictionary(
            bytes: UnsafeBufferPointer(start: arena, count: texts.pointee.offsets[count]),
            offsets: UnsafeBufferPointer(start: texts.pointee.offsets.base, count: count + 1))
    }
}

/// The distinct values behind the codes of a vector; code 0 is NULL and has no entry.
///
/// `@unchecked Sendable`: immutable once made, but for what is shared, behind a lock; its memory is its own.
package final class VectorDictionary: @unchecked Sendable {
    /// Texts, that of code c at c - 1; empty in a dictionary of mixed values.
    let arena: TextArena
    /// All entries of a dictionary in which not all are texts.
    let values: [SQLValue]?
    let byteCount: Int
    private let sharing = Mutex(DictionarySharing())

    init(bytes: UnsafeBufferPointer<UInt8>, offsets: UnsafeBufferPointer<Int>) {
        arena = TextArena(copying: bytes, offsets)
        values = nil
        // As many codes may come to be shared.
        byteCount = arena.byteCount + offsets.count * MemoryLayout<UInt32>.stride
    }

    init(values: [SQLValue]) {
        arena = withUnsafePointer(to: 0) { TextArena(copying: .init(start: nil, count: 0), .init(start: $0, count: 1)) }
        self.values = values
        byteCount = values.reduce(0) { sum, value in
            if case .text(let text) = value { sum + 48 + text.string.utf8.count } else { sum + 48 }
        }
    }

    deinit { arena.deallocate() }

    var isText: Bool { values == nil }
    /// Entries without NULL.
    var count: Int { values?.count ?? arena.count }

    /// Only of a dictionary of texts, and not of code 0.
    @inline(__always)
    func bytes(_ code: UInt32) -> UnsafeRawBufferPointer { arena.bytes(Int(code) &- 1) }

    /// From now on its texts may have codes in common with the others of the column.
    func share(_ ledger: TextLedger, _ column: UnitColumnID) {
        if isText { sharing.withLock { $0 = DictionarySharing(ledger, column) } }
    }

    /// Codes that mean the same in other dictionaries of the column, if it has them.
    var shared: SharedCodes? { isText ? sharing.withLock { $0.codes(of: arena) } : nil }

    func value(_ code: UInt32) -> SQLValue {
        if code == 0 { return .null }
        if let values { return values[Int(code) - 1] }
        return .text(Text(bytes(code)))
    }
}

/// A column of a unit. `@unchecked Sendable`: immutable once made; its memory is its own.
package final class Vector: @unchecked Sendable {
    package enum Form: Sendable {
        /// All NULL.
        case absent
        /// base + an unsigned element.
        case integers(base: Int64)
        case doubles
        case codes(VectorDictionary)
        case ids
    }

    package let form: Form
    package let count: Int
    /// Bytes of an element: 1, 2, 4 or 8; 16 for ids; 0 when absent.
    let width: Int
    let data: UnsafeMutableRawPointer
    /// 1 where NULL; nil when no row is. Codes say it by themselves.
    let nulls: UnsafeMutablePointer<UInt8>?
    /// Of integers that are not NULL; of codes whether any is: `least > greatest` when none is.
    let least: Int64
    let greatest: Int64

    init(
        form: Form, count: Int, width: Int, data: UnsafeMutableRawPointer, nulls: UnsafeMutablePointer<UInt8>?,
        least: Int64 = .min, greatest: Int64 = .max
    ) {
        self.form = form
        self.count = count
        self.width = width
        self.data = data
        self.nulls = nulls
        self.least = least
        self.greatest = greatest
    }

    deinit {
        data.deallocate()
        nulls?.deallocate()
    }

    var byteCount: Int {
        var bytes = count * width + (nulls == nil ? 0 : count) + 128
        if case .codes(let dictionary) = form { bytes += dictionary.byteCount }
        return bytes
    }

    static func absent(count: Int) -> Vector {
        Vector(form: .absent, count: count, width: 0, data: .allocate(byteCount: 1, alignment: 1), nulls: nil)
    }

    /// The value of one row; for results and slow paths.
    func value(_ row: Int) -> SQLValue {
        if let nulls, nulls[row] != 0 { return .null }
        switch form {
        case .absent: return .null
        case .integers(let base): return .integer(base &+ Int64(bitPattern: element(row)))
        case .doubles: return .double(data.load(fromByteOffset: row * 8, as: Double.self))
        case .codes(let dictionary): return dictionary.value(UInt32(truncatingIfNeeded: element(row)))
        case .ids: return .text(data.load(fromByteOffset: row * 16, as: EventID.self).text)
        }
    }

    @inline(__always)
    func element(_ row: Int) -> UInt64 { Vector.element(data, width, row) }

    /// - Parameter width: bytes of an element.
    @inline(__always)
    static func element(_ data: UnsafeMutableRawPointer, _ width: Int, _ row: Int) -> UInt64 {
        switch width {
        case 1: UInt64(data.load(fromByteOffset: row, as: UInt8.self))
        case 2: UInt64(data.load(fromByteOffset: row &* 2, as: UInt16.self))
        case 4: UInt64(data.load(fromByteOffset: row &* 4, as: UInt32.self))
        default: data.load(fromByteOffset: row &* 8, as: UInt64.self)
        }
    }
}

// MARK: - Making vectors

extension Vector {
    /// Integers in as few bytes as their range allows.
    static func integers(
        _ values: UnsafePointer<Int64>, nulls: UnsafePointer<UInt8>?, count: Int
    ) -> Vector {
        var least = Int64.max
        var greatest = Int64.min
        let keptNulls = copy(nulls, count)
        if let keptNulls {
            for row in 0..<count where keptNulls[row] == 0 {
                least = min(least, values[row])
                greatest = max(greatest, values[row])
            }
        } else {
            for row in 0..<count {
                least = min(least, values[row])
                greatest = max(greatest, values[row])
            }
        }
        if least > greatest {
            keptNulls?.deallocate()
            return absent(count: count)
        }
        let range = UInt64(bitPattern: greatest &- least)
        func make<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type, base: Int64) -> Vector {
            let target = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
            for row in 0..<count { target[row] = T(truncatingIfNeeded: values[row] &- base) }
            return Vector(
                form: .integers(base: base), count: count, width: MemoryLayout<T>.size, data: .init(target),
                nulls: keptNulls, least: least, greatest: greatest)
        }
        if range < 1 << 8 { return make(UInt8.self, base: least) }
        if range < 1 << 16 { return make(UInt16.self, base: least) }
        if range < 1 << 32 { return make(UInt32.self, base: least) }
        return make(UInt64.self, base: 0)
    }

    static func doubles(_ values: UnsafePointer<Double>, nulls: UnsafePointer<UInt8>?, count: Int) -> Vector {
        let target = UnsafeMutablePointer<Double>.allocate(capacity: max(count, 1))
        target.update(from: values, count: count)
        return Vector(
            form: .doubles, count: count, width: 8, data: .init(target), nulls: copy(nulls, count))
    }

    static func codes(_ codes: UnsafePointer<UInt32>, _ dictionary: VectorDictionary, count: Int) -> Vector {
        func make<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type) -> Vector {
            let target = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
            for row in 0..<count { target[row] = T(truncatingIfNeeded: codes[row]) }
            return Vector(
                form: .codes(dictionary), count: count, width: MemoryLayout<T>.size, data: .init(target), nulls: nil)
        }
        if dictionary.count < 1 << 8 { return make(UInt8.self) }
        if dictionary.count < 1 << 16 { return make(UInt16.self) }
        return make(UInt32.self)
    }

    /// Codes that stand for many rows in a row.
    static func runs(_ runs: [(code: UInt32, rows: Int)], _ dictionary: VectorDictionary, count: Int) -> Vector {
        func make<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(_ type: T.Type) -> Vector {
            let target = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
            var row = 0
            for run in runs {
                (target + row).update(repeating: T(truncatingIfNeeded: run.code), count: run.rows)
                row += run.rows
            }
            return Vector(
                form: .codes(dictionary), count: count, width: MemoryLayout<T>.size, data: .init(target), nulls: nil)
        }
        if dictionary.count < 1 << 8 { return make(UInt8.self) }
        if dictionary.count < 1 << 16 { return make(UInt16.self) }
        return make(UInt32.self)
    }

    /// Any 32-bit numbers.
    static func hashes(_ values: UnsafePointer<UInt32>, count: Int) -> Vector {
        let target = UnsafeMutablePointer<UInt32>.allocate(capacity: max(count, 1))
        target.update(from: values, count: count)
        return Vector(
            form: .integers(base: 0), count: count, width: 4, data: .init(target), nulls: nil, least: 0,
            greatest: Int64(UInt32.max))
    }

    static func ids(_ values: UnsafePointer<EventID>, count: Int) -> Vector {
        let target = UnsafeMutablePointer<EventID>.allocate(capacity: max(count, 1))
        target.update(from: values, count: count)
        return Vector(form: .ids, count: count, width: 16, data: .init(target), nulls: nil)
    }

    private static func copy(_ nulls: UnsafePointer<UInt8>?, _ count: Int) -> UnsafeMutablePointer<UInt8>? {
        guard let nulls, count > 0, memchr(nulls, 1, count) != nil else { return nil }
        let target = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        target.update(from: nulls, count: count)
        return target
    }

    /// One column of an attribute whose rows have different kinds: rows are NULL in all parts but one at most.
    static func combined(_ parts: [Vector], count: Int) -> Vector {
        let present = parts.filter { if case .absent = $0.form { false } else { true } }
        guard let first = present.first else { return absent(count: count) }
        if present.count == 1 { return first }
        if let integers = combinedIntegers(present, count) { return integers }
        let interner = ValueInterner()
        let codes = UnsafeMutablePointer<UInt32>.allocate(capacity: max(count, 1))
        defer { codes.deallocate() }
        codes.update(repeating: 0, count: count)
        for part in present { part.addCodes(to: codes, interner) }
        return .codes(codes, VectorDictionary(values: interner.allValues), count: count)
    }

    /// The codes of the rows that are not NULL here, by the interner's values. Codes of all other rows stay.
    private func addCodes(to codes: UnsafeMutablePointer<UInt32>, _ interner: ValueInterner) {
        switch form {
        case .absent, .ids: return
        case .codes, .integers:
            switch width {
            case 1: addCodes(of: data.assumingMemoryBound(to: UInt8.self), to: codes, interner)
            case 2: addCodes(of: data.assumingMemoryBound(to: UInt16.self), to: codes, interner)
            case 4: addCodes(of: data.assumingMemoryBound(to: UInt32.self), to: codes, interner)
            default: addCodes(of: data.assumingMemoryBound(to: UInt64.self), to: codes, interner)
            }
        case .doubles:
            for row in 0..<count where nulls.map({ $0[row] == 0 }) ?? true {
                codes[row] = interner.codeOfIdentical(value(row))
            }
        }
    }

    private func addCodes<T: FixedWidthInteger & UnsignedInteger>(
        of elements: UnsafeMutablePointer<T>, to codes: UnsafeMutablePointer<UInt32>, _ interner: ValueInterner
    ) {
        switch form {
        case .codes(let dictionary): addCodes(of: elements, dictionary, to: codes, interner)
        case .integers(let base):
            let range = UInt64(bitPattern: greatest &- least)
            if range < 1 << 16 {
                addCodes(of: elements, base, range: Int(range) + 1, to: codes, interner)
            } else {
                for row in 0..<count where nulls.map({ $0[row] == 0 }) ?? true {
                    codes[row] = interner.code(integer: base &+ Int64(truncatingIfNeeded: elements[row]))
                }
            }
        case .absent, .doubles, .ids: return
        }
    }

    /// Codes become others: each entry of the dictionary is looked up once.
    @inline(__always)
    private func addCodes<T: FixedWidthInteger & UnsignedInteger>(
        of elements: UnsafeMutablePointer<T>, _ dictionary: VectorDictionary,
        to codes: UnsafeMutablePointer<UInt32>, _ interner: ValueInterner
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: dictionary.count + 1) { codeOf in
            codeOf[0] = 0
            for code in 1..<codeOf.count { codeOf[code] = interner.codeOfIdentical(dictionary.value(UInt32(code))) }
            guard let codeOf = codeOf.baseAddress else { return }
            // Rows are NULL in all parts but one, and NULL is 0.
            for row in 0..<count { codes[row] |= codeOf[Int(truncatingIfNeeded: elements[row])] }
        }
    }

    /// Of integers in a small range, each that occurs is looked up once.
    @inline(__always)
    private func addCodes<T: FixedWidthInteger & UnsignedInteger>(
        of elements: UnsafeMutablePointer<T>, _ base: Int64, range: Int,
        to codes: UnsafeMutablePointer<UInt32>, _ interner: ValueInterner
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: range) { known in
            known.update(repeating: 0)
            guard let known = known.baseAddress else { return }
            for row in 0..<count {
                if let nulls, nulls[row] != 0 { continue }
                let element = Int(truncatingIfNeeded: elements[row])
                if known[element] == 0 { known[element] = interner.code(integer: base &+ Int64(element)) }
                codes[row] = known[element]
            }
        }
    }

    /// Integers and booleans together are integers.
    private static func combinedIntegers(_ parts: [Vector], _ count: Int) -> Vector? {
        for part in parts {
            guard case .integers = part.form else { return nil }
        }
        let values = UnsafeMutablePointer<Int64>.allocate(capacity: max(count, 1))
        let nulls = UnsafeMutablePointer<UInt8>.allocate(capacity: max(count, 1))
        defer {
            values.deallocate()
            nulls.deallocate()
        }
        for row in 0..<count {
            values[row] = 0
            nulls[row] = 1
            for part in parts {
                if case .integer(let value) = part.value(row) {
                    values[row] = value
                    nulls[row] = 0
                }
            }
        }
        return .integers(values, nulls: nulls, count: count)
    }
}
