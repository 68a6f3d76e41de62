// Builds the vector of one column while the blocks of a unit go by.

import EventStoreCore
import EventStoreSegments

/// Collects the values of one column and kind. Rows that are not appended are NULL. Works in memory of the loader's.
final class VectorBuilder {
    private let capacity: Int
    let isText: Bool
    private let isDouble: Bool
    /// Integers or the bits of doubles.
    private let numbers: UnsafeMutablePointer<Int64>?
    private let nulls: UnsafeMutablePointer<UInt8>?
    private let codes: UnsafeMutablePointer<UInt32>?
    private let dictionary = DictionaryBuilder()
    /// Codes of shared values, by their number in the segment's vocabulary; 0 not asked yet.
    private var sharedCodes = GrowableBuffer<UInt32>()
    private var entryCodes = GrowableBuffer<UInt32>()

    init(kind: ValueKind, capacity: Int, _ scratch: Scratch) {
        self.capacity = max(capacity, 1)
        isText = kind == .string || kind == .json
        isDouble = kind == .double
        if isText {
            let codes = scratch.take(self.capacity, of: UInt32.self)
            codes.update(repeating: 0, count: self.capacity)
            (self.codes, numbers, nulls) = (codes, nil, nil)
        } else {
            let nulls = scratch.take(self.capacity, of: UInt8.self)
            nulls.update(repeating: 1, count: self.capacity)
            (codes, numbers, self.nulls) = (nil, scratch.take(self.capacity, of: Int64.self), nulls)
        }
    }

    /// A block's column, whose rows begin at `row` of the unit.
    func append(_ column: BlockColumn, at row: Int, rows: Int) {
        precondition(row + rows <= capacity)
        switch column.values {
        case .strings(let strings): append(strings, column.dense, row, rows)
        case .integers(let values):
            if let numbers { place(values, column.dense, row, rows, numbers) { $0 } }
        case .bools(let values):
            if let numbers { place(values, column.dense, row, rows, numbers) { $0 ? 1 : 0 } }
        case .doubles(let values):
            if let numbers { place(values, column.dense, row, rows, numbers) { Int64(bitPattern: $0.bitPattern) } }
        }
    }

    /// The values of the n-th column of a block whose shapes are in order: rows that have it stand together.
    func append(_ values: BlockColumn.Values, _ column: Int, of block: ScannedBlock, at row: Int) {
        precondition(row + block.rows <= capacity)
        if case .strings(let strings) = values { forgetEntries(strings) }
        var row = row
        var first = 0
        for shape in block.shapes {
            if shape.hasColumn(column) {
                append(values, from: first, at: row, rows: shape.rows)
                first += shape.rows
            }
            row += shape.rows
        }
    }

    /// A run of rows whose values begin with the one of this number.
    @inline(__always)
    private func append(_ values: BlockColumn.Values, from first: Int, at row: Int, rows: Int) {
        switch values {
        case .strings(let strings): fill(strings, nil, from: first, row, rows)
        case .integers(let values):
            if let numbers { place(values + first, nil, row, rows, numbers) { $0 } }
        case .bools(let values):
            if let numbers { place(values + first, nil, row, rows, numbers) { $0 ? 1 : 0 } }
        case .doubles(let values):
            if let numbers { place(values + first, nil, row, rows, numbers) { Int64(bitPattern: $0.bitPattern) } }
        }
    }

    /// A block's column that every row has.
    func append(_ values: UnsafePointer<Int64>, at row: Int, rows: Int) {
        precondition(row + rows <= capacity)
        if let numbers { place(values, nil, row, rows, numbers) { $0 } }
    }

    @inline(__always)
    private func place<Value>(
        _ values: UnsafePointer<Value>, _ dense: UnsafePointer<Int32>?, _ row: Int, _ rows: Int,
        _ numbers: UnsafeMutablePointer<Int64>, _ convert: (Value) -> Int64
    ) {
        guard let nulls else { return }
        if let dense {
            for index in 0..<rows {
                let place = Int(dense[index])
                if place < 0 { continue }
                numbers[row &+ index] = convert(values[place])
                nulls[row &+ index] = 0
            }
        } else {
            for index in 0..<rows { numbers[row &+ index] = convert(values[index]) }
            (nulls + row).update(repeating: 0, count: rows)
        }
    }

    private func append(_ strings: StringColumn, _ dense: UnsafePointer<Int32>?, _ row: Int, _ rows: Int) {
        forgetEntries(strings)
        fill(strings, dense, from: 0, row, rows)
    }

    /// No entry of the column has a code yet. They may be those of a shared vocabulary, many more than a block uses, so
    /// codes are looked up when first met.
    private func forgetEntries(_ strings: StringColumn) {
        if strings.isDistinct { return }
        entryCodes.truncate(to: 0)
        entryCodes.resize(to: strings.entryCount, filling: 0)
    }

    /// Codes of rows whose values `dense` names, or else are those from `first` on.
    private func fill(
        _ strings: StringColumn, _ dense: UnsafePointer<Int32>?, from first: Int, _ row: Int, _ rows: Int
    ) {
        guard let codes else { return }
        if strings.isDistinct {
            for index in 0..<rows {
                let place = dense.map { Int($0[index]) } ?? first &+ index
                if place >= 0 { codes[row &+ index] = dictionary.intern(strings.entries[place].bytes) }
            }
            return
        }
        let known = entryCodes.base
        let source = strings.codes
        for index in 0..<rows {
            let place: Int
            if let dense {
                place = Int(dense[index])
                if place < 0 { continue }
            } else {
                place = first &+ index
            }
            let entry = Int(source[place])
            var code = known[entry]
            if code == 0 {
                code = newCode(strings, entry)
                known[entry] = code
            }
            codes[row &+ index] = code
        }
    }

    private func newCode(_ strings: StringColumn, _ entry: Int) -> UInt32 {
        guard let shared = strings.sharedNumbers, entry < strings.sharedCount else {
            return dictionary.intern(strings.entries[entry].bytes)
        }
        let number = Int(shared[entry])
        if number >= sharedCodes.count { sharedCodes.resize(to: number + 1, filling: 0) }
        if sharedCodes.base[number] == 0 {
            sharedCodes.base[number] = dictionary.intern(strings.entries[entry].bytes)
        }
        return sharedCodes.base[number]
    }

    // MARK: Single values, of batches in memory

    func set(number bits: Int64, at row: Int) {
        numbers?[row] = bits
        nulls?[row] = 0
    }

    func set(text: UnsafeRawBufferPointer, at row: Int) { codes?[row] = dictionary.intern(text) }

    func finish(count: Int) -> Vector {
        if let codes { return .codes(codes, dictionary.finish(), count: count) }
        guard let numbers, let nulls else { return .absent(count: count) }
        if !isDouble { return .integers(numbers, nulls: nulls, count: count) }
        return .doubles(UnsafeRawPointer(numbers).assumingMemoryBound(to: Double.self), nulls: nulls, count: count)
    }
}
