// A condition on one column of a unit: by entry of a dictionary, by interval of numbers, else row by row.
//
// While all rows are still selected, rows are marked first, in loops that the compiler makes vector code of, and the
// marks are gathered 64 at a time.

import EventStoreCore

extension UnitContext {
    /// Keeps the selected rows that hold.
    @inline(__always)
    func keep(_ holds: (Int) throws(Fault) -> Bool) throws(Fault) {
        let selection = selection
        let kept = scratch.take(selection.count, of: UInt32.self)
        var count = 0
        if let rows = selection.rows {
            for index in 0..<selection.count {
                let row = rows[index]
                kept[count] = row
                count &+= try holds(Int(row)) ? 1 : 0
            }
        } else {
            for row in 0..<selection.count {
                kept[count] = UInt32(truncatingIfNeeded: row)
                count &+= try holds(row) ? 1 : 0
            }
            if count == selection.count { return }
        }
        self.selection = Selection(rows: kept, count: count)
    }

    /// Keeps the marked rows where all are selected.
    func keepMarked(_ marks: UnsafeMutablePointer<UInt8>) {
        let kept = scratch.take(selection.count, of: UInt32.self)
        let count = Marks.gather(marks, selection.count, kept)
        if count < selection.count { selection = Selection(rows: kept, count: count) }
    }
}

/// 1 for each row that holds, 0 for the others, and zeros up to a multiple of 64.
enum Marks {
    private static func make(_ count: Int, _ scratch: Scratch) -> UnsafeMutablePointer<UInt8> {
        let marks = scratch.take(count + 64, of: UInt8.self)
        (marks + count).update(repeating: 0, count: 64)
        return marks
    }

    /// Of codes whose verdict is 1; the table has one more than `entries`.
    static func ofCodes<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ codes: UnsafeMutablePointer<T>, _ verdicts: UnsafeMutablePointer<UInt8>, _ entries: Int,
        _ context: UnitContext
    ) -> UnsafeMutablePointer<UInt8> {
        let count = context.selection.count
        let marks = make(count, context.scratch)
        let passing = (0...entries).lazy.filter { verdicts[$0] == 1 }
        if let only = passing.first, passing.dropFirst().isEmpty {
            let wanted = T(truncatingIfNeeded: only)
            for row in 0..<count { marks[row] = codes[row] == wanted ? 1 : 0 }
        } else {
            for row in 0..<count { marks[row] = verdicts[Int(truncatingIfNeeded: codes[row])] == 1 ? 1 : 0 }
        }
        return marks
    }

    /// Of numbers that pass; `nil` when the interval does not lie within what the elements can say.
    static func ofIntegers<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ values: UnsafeMutablePointer<T>, _ base: Int64, _ nulls: UnsafeMutablePointer<UInt8>?,
        _ test: NumberTest<Int64>, _ context: UnitContext
    ) -> UnsafeMutablePointer<UInt8>? {
        guard T.bitWidth < 64 else { return nil }
        let (end, overflow) = base.addingReportingOverflow(Int64(T.max))
        let last = overflow ? Int64.max : end
        guard test.lower <= last, test.upper >= base, test.lower <= test.upper else { return nil }
        let lower = T(truncatingIfNeeded: max(test.lower, base) &- base)
        let width = T(truncatingIfNeeded: min(test.upper, last) &- base) &- lower
        let flip: UInt8 = test.isComplement ? 1 : 0
        let count = context.selection.count
        let marks = make(count, context.scratch)
        if let nulls {
            for row in 0..<count {
                marks[row] = ((values[row] &- lower <= width ? 1 : 0) ^ flip) & (nulls[row] ^ 1)
            }
        } else {
            for row in 0..<count { marks[row] = (values[row] &- lower <= width ? 1 : 0) ^ flip }
        }
        return marks
    }

    /// The marked rows, ascending; there must be room for all rows.
    static func gather(
        _ marks: UnsafeMutablePointer<UInt8>, _ count: Int, _ target: UnsafeMutablePointer<UInt32>
    ) -> Int {
        var found = 0
        for start in stride(from: 0, to: count, by: 64) {
            var rest = bits(marks + start)
            if rest == 0 { continue }
            if rest.nonzeroBitCount > 16 {
                // Without a branch a row.
                for row in start..<min(start &+ 64, count) {
                    target[found] = UInt32(truncatingIfNeeded: row)
                    found &+= Int(truncatingIfNeeded: rest & 1)
                    rest >>= 1
                }
            } else {
                while rest != 0 {
                    target[found] = UInt32(truncatingIfNeeded: start &+ rest.trailingZeroBitCount)
                    found &+= 1
                    rest &= rest &- 1
                }
            }
        }
        return found
    }

    /// 64 marks as bits.
    @inline(__always)
    private static func bits(_ marks: UnsafeMutablePointer<UInt8>) -> UInt64 {
        let words = UnsafeRawPointer(marks)
        var bits: UInt64 = 0
        for number in 0..<8 {
            let word = UInt64(littleEndian: words.loadUnaligned(fromByteOffset: number &* 8, as: UInt64.self))
            // Bytes of 0 and 1: the product has that of byte i at bit 56 + i.
            bits |= ((word &* 0x0102_0408_1020_4080) >> 56) << UInt64(number &* 8)
        }
        return bits
    }
}

extension ColumnTest {
    /// Keeps the selected rows whose value passes.
    func narrow(_ vector: Vector, _ context: UnitContext) throws(Fault) {
        switch vector.form {
        case .absent:
            if nullVerdict != 1 { context.selection = Selection(rows: nil, count: 0) }
        case .codes(let dictionary):
            switch vector.width {
            case 1: try narrow(vector.data.assumingMemoryBound(to: UInt8.self), dictionary, context)
            case 2: try narrow(vector.data.assumingMemoryBound(to: UInt16.self), dictionary, context)
            default: try narrow(vector.data.assumingMemoryBound(to: UInt32.self), dictionary, context)
            }
        case .integers(let base):
            if decides(vector, context) { return }
            switch vector.width {
            case 1: try narrow(vector.data.assumingMemoryBound(to: UInt8.self), base, vector.nulls, context)
            case 2: try narrow(vector.data.assumingMemoryBound(to: UInt16.self), base, vector.nulls, context)
            case 4: try narrow(vector.data.assumingMemoryBound(to: UInt32.self), base, vector.nulls, context)
            default: try narrow(vector.data.assumingMemoryBound(to: UInt64.self), base, vector.nulls, context)
            }
        case .doubles:
            let values = vector.data.assumingMemoryBound(to: Double.self)
            let nulls = vector.nulls
            try context.keep { (row) throws(Fault) in
                if let nulls, nulls[row] != 0 { return nullVerdict == 1 }
                return try verdict(double: values[row]) == 1
            }
        case .ids:
            try context.keep { (row) throws(Fault) in try ColumnTest.verdict(program, vector.value(row)) == 1 }
        }
    }

    /// Decides all rows of integers at once where their least and greatest say enough.
    private func decides(_ vector: Vector, _ context: UnitContext) -> Bool {
        guard case .intervals(let found, _) = numbers, nullVerdict != 1 else { return false }
        guard let test = found, test.canMatch(least: vector.least, greatest: vector.greatest) else {
            context.selection = Selection(rows: nil, count: 0)
            return true
        }
        guard vector.nulls == nil else { return false }
        if test.isComplement { return vector.greatest < test.lower || vector.least > test.upper }
        return vector.least >= test.lower && vector.greatest <= test.upper
    }

    private func narrow<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ codes: UnsafeMutablePointer<T>, _ dictionary: VectorDictionary, _ context: UnitContext
    ) throws(Fault) {
        let table = context.scratch.take(dictionary.count + 1, of: UInt8.self)
        if dictionary.count <= context.selection.count {
            if try fill(table, dictionary, context) { return }
            if context.selection.rows == nil {
                context.keepMarked(Marks.ofCodes(codes, table, dictionary.count, context))
            } else {
                try context.keep { (row) throws(Fault) in table[Int(codes[row])] == 1 }
            }
            return
        }
        table.update(repeating: 3, count: dictionary.count + 1)
        try context.keep { (row) throws(Fault) in
            let code = Int(codes[row])
            if table[code] == 3 { table[code] = try verdict(dictionary, UInt32(truncatingIfNeeded: code)) }
            return table[code] == 1
        }
    }

    /// The verdicts of all entries. True when they settle the matter: all alike.
    private func fill(
        _ table: UnsafeMutablePointer<UInt8>, _ dictionary: VectorDictionary, _ context: UnitContext
    ) throws(Fault) -> Bool {
        table[0] = nullVerdict
        var passed = nullVerdict == 1 ? 1 : 0
        let count = dictionary.count
        if dictionary.isText, let search {
            let (hit, miss): (UInt8, UInt8) = search.isNegated ? (0, 1) : (1, 0)
            (table + 1).update(repeating: miss, count: count)
            search.pattern.mark(dictionary.arena) { table[$0 &+ 1] = hit }
            for code in 1..<count &+ 1 { passed &+= Int(table[code]) }
        } else if dictionary.isText, let text {
            for code in 0..<count {
                let verdict = text(dictionary.bytes(UInt32(truncatingIfNeeded: code &+ 1)))
                table[code &+ 1] = verdict
                passed &+= verdict == 1 ? 1 : 0
            }
        } else {
            for code in 0..<count {
                table[code + 1] = try ColumnTest.verdict(program, dictionary.value(UInt32(code + 1)))
                passed += table[code + 1] == 1 ? 1 : 0
            }
        }
        if passed == 0 { context.selection = Selection(rows: nil, count: 0) }
        return passed == 0 || passed == count + 1
    }

    private func narrow<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ values: UnsafeMutablePointer<T>, _ base: Int64, _ nulls: UnsafeMutablePointer<UInt8>?, _ context: UnitContext
    ) throws(Fault) {
        if case .intervals(let found, _) = numbers, nullVerdict != 1 {
            guard let test = found else { return context.selection = Selection(rows: nil, count: 0) }
            if context.selection.rows == nil, let marks = Marks.ofIntegers(values, base, nulls, test, context) {
                return context.keepMarked(marks)
            }
            if let nulls {
                try context.keep { (row) throws(Fault) in
                    nulls[row] == 0 && test.matches(base &+ Int64(truncatingIfNeeded: values[row]))
                }
            } else {
                try context.keep { (row) throws(Fault) in
                    test.matches(base &+ Int64(truncatingIfNeeded: values[row]))
                }
            }
            return
        }
        try context.keep { (row) throws(Fault) in
            if let nulls, nulls[row] != 0 { return nullVerdict == 1 }
            return try verdict(integer: base &+ Int64(truncatingIfNeeded: values[row])) == 1
        }
    }

    /// The verdict of every value.
    func verdicts(_ values: Dense, _ scratch: Scratch, _ target: UnsafeMutablePointer<UInt8>) throws(Fault) {
        switch values.form {
        case .constant(let value): target.update(repeating: try ColumnTest.verdict(program, value), count: values.count)
        case .codes(let codes, let dictionary):
            let table = scratch.take(dictionary.count + 1, of: UInt8.self)
            table.update(repeating: 3, count: dictionary.count + 1)
            for index in 0..<values.count {
                let code = Int(codes[index])
                if table[code] == 3 { table[code] = try verdict(dictionary, UInt32(truncatingIfNeeded: code)) }
                target[index] = table[code]
            }
        case .integers(let numbers):
            for index in 0..<values.count {
                target[index] = values.isNull(index) ? nullVerdict : try verdict(integer: numbers[index])
            }
        case .doubles(let numbers):
            for index in 0..<values.count {
                target[index] = values.isNull(index) ? nullVerdict : try verdict(double: numbers[index])
            }
        case .values(let list):
            for index in 0..<values.count { target[index] = try ColumnTest.verdict(program, list[index]) }
        }
    }
}
