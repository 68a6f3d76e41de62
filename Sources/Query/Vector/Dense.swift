// Columns of the selected rows, widened: what execution computes with.

import EventStoreCore

/// Which rows of a unit are still in play, ascending.
struct Selection {
    /// `nil`: 0 ..< count.
    var rows: UnsafeMutablePointer<UInt32>?
    var count: Int

    @inline(__always)
    func row(_ index: Int) -> Int { rows.map { Int($0[index]) } ?? index }
}

/// Values in order of a selection. Memory belongs to the worker's scratch and lasts until its next unit.
struct Dense {
    enum Form {
        case constant(SQLValue)
        case integers(UnsafeMutablePointer<Int64>)
        case doubles(UnsafeMutablePointer<Double>)
        /// 0 is NULL.
        case codes(UnsafeMutablePointer<UInt32>, VectorDictionary)
        case values([SQLValue])
    }

    var form: Form
    /// Of integers and doubles: 1 where NULL; nil when none is.
    var nulls: UnsafeMutablePointer<UInt8>?
    var count: Int

    init(_ form: Form, nulls: UnsafeMutablePointer<UInt8>? = nil, count: Int) {
        self.form = form
        self.nulls = nulls
        self.count = count
    }

    @inline(__always)
    func isNull(_ index: Int) -> Bool { nulls.map { $0[index] != 0 } ?? false }

    func value(_ index: Int) -> SQLValue {
        if isNull(index) { return .null }
        switch form {
        case .constant(let value): return value
        case .integers(let values): return .integer(values[index])
        case .doubles(let values): return .double(values[index])
        case .codes(let codes, let dictionary): return dictionary.value(codes[index])
        case .values(let values): return values[index]
        }
    }

    var isConstantNull: Bool {
        if case .constant(.null) = form { true } else { false }
    }
}

extension Vector {
    /// The values of the selected rows.
    func gather(_ selection: Selection, _ scratch: Scratch) -> Dense {
        let count = selection.count
        switch form {
        case .absent: return Dense(.constant(.null), count: count)
        case .integers(let base):
            let target = scratch.take(count, of: Int64.self)
            switch width {
            case 1: Vector.widen(data.assumingMemoryBound(to: UInt8.self), base, selection, target)
            case 2: Vector.widen(data.assumingMemoryBound(to: UInt16.self), base, selection, target)
            case 4: Vector.widen(data.assumingMemoryBound(to: UInt32.self), base, selection, target)
            default: Vector.widen(data.assumingMemoryBound(to: UInt64.self), base, selection, target)
            }
            return Dense(.integers(target), nulls: gatherNulls(selection, scratch), count: count)
        case .doubles:
            let target = scratch.take(count, of: Double.self)
            let source = data.assumingMemoryBound(to: Double.self)
            if let rows = selection.rows {
                for index in 0..<count { target[index] = source[Int(rows[index])] }
            } else {
                target.update(from: source, count: count)
            }
            return Dense(.doubles(target), nulls: gatherNulls(selection, scratch), count: count)
        case .codes(let dictionary):
            let target = scratch.take(count, of: UInt32.self)
            switch width {
            case 1: Vector.widen(data.assumingMemoryBound(to: UInt8.self), selection, target)
            case 2: Vector.widen(data.assumingMemoryBound(to: UInt16.self), selection, target)
            default: Vector.widen(data.assumingMemoryBound(to: UInt32.self), selection, target)
            }
            return Dense(.codes(target, dictionary), count: count)
        case .ids: return Dense(.values((0..<count).map { value(selection.row($0)) }), count: count)
        }
    }

    @inline(__always)
    private static func widen<T: FixedWidthInteger & UnsignedInteger>(
        _ source: UnsafeMutablePointer<T>, _ base: Int64, _ selection: Selection, _ target: UnsafeMutablePointer<Int64>
    ) {
        if let rows = selection.rows {
            for index in 0..<selection.count {
                target[index] = base &+ Int64(truncatingIfNeeded: source[Int(rows[index])])
            }
        } else {
            for index in 0..<selection.count { target[index] = base &+ Int64(truncatingIfNeeded: source[index]) }
        }
    }

    @inline(__always)
    private static func widen<T: FixedWidthInteger & UnsignedInteger>(
        _ source: UnsafeMutablePointer<T>, _ selection: Selection, _ target: UnsafeMutablePointer<UInt32>
    ) {
        if let rows = selection.rows {
            for index in 0..<selection.count { target[index] = UInt32(truncatingIfNeeded: source[Int(rows[index])]) }
        } else {
            for index in 0..<selection.count { target[index] = UInt32(truncatingIfNeeded: source[index]) }
        }
    }

    private func gatherNulls(_ selection: Selection, _ scratch: Scratch) -> UnsafeMutablePointer<UInt8>? {
        guard let nulls else { return nil }
        let target = scratch.take(selection.count, of: UInt8.self)
        var any: UInt8 = 0
        for index in 0..<selection.count {
            let isNull = nulls[selection.row(index)]
            target[index] = isNull
            any |= isNull
        }
        return any == 0 ? nil : target
    }
}
