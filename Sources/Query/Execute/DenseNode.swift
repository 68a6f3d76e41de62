// Expressions over the selected rows, a column at a time.

import EventStoreCore

indirect enum DenseNode {
    case column(Int)
    case constant(SQLValue)
    /// An expression of one column: computed once per entry where that is coded.
    case mapped(column: Int, ScalarProgram)
    /// Start of the bucket a time lies in.
    case bucket(BucketPlan, DenseNode)
    case arithmetic(BinaryOperator, DenseNode, DenseNode)
    /// A condition as a number.
    case condition(FilterNode)
    /// `CASE WHEN … THEN … ELSE … END`.
    case choice([(FilterNode, DenseNode)], otherwise: DenseNode)
    case program(ScalarProgram, columns: [Int])
}

extension DenseNode {
    func evaluate(_ context: UnitContext) throws(Fault) -> Dense {
        let count = context.selection.count
        switch self {
        case .column(let number): return try context.dense(number)
        case .constant(let value): return Dense(.constant(value), count: count)
        case .mapped(let column, let program): return try map(column, program, context)
        case .bucket(let plan, let node): return try bucket(plan, try node.evaluate(context), context)
        case .arithmetic(let operation, let left, let right):
            return DenseArithmetic.compute(
                operation, try left.evaluate(context), try right.evaluate(context), context.scratch)
        case .condition(let node): return numbers(try node.verdicts(context), context)
        case .choice(let clauses, let otherwise): return try choose(clauses, otherwise, context)
        case .program(let program, let columns):
            var values: [SQLValue] = []
            values.reserveCapacity(count)
            try RowProgram.run(program, columns, context) { _, value in values.append(value) }
            return Dense(.values(values), count: count)
        }
    }

    private func map(_ column: Int, _ program: ScalarProgram, _ context: UnitContext) throws(Fault) -> Dense {
        let source = try context.dense(column)
        guard case .codes(let codes, let dictionary) = source.form else {
            return try DenseNode.program(program, columns: [column]).evaluate(context)
        }
        let target = context.scratch.take(source.count, of: UInt32.self)
        // Code here of each code there, plus one; 0 not asked yet.
        let table = context.scratch.take(dictionary.count + 1, of: UInt32.self)
        table.update(repeating: 0, count: dictionary.count + 1)
        let interner = ValueInterner()
        for index in 0..<source.count {
            let code = Int(codes[index])
            if table[code] == 0 {
                var slot = dictionary.value(UInt32(code))
                table[code] = interner.codeOfIdentical(try program.value(&slot)) + 1
            }
            target[index] = table[code] - 1
        }
        return Dense(.codes(target, VectorDictionary(values: interner.allValues)), count: source.count)
    }

    private func bucket(_ plan: BucketPlan, _ times: Dense, _ context: UnitContext) throws(Fault) -> Dense {
        if let coded = codedBuckets(plan, times, context.scratch) { return coded }
        var cursor = BucketCursor(plan)
        switch times.form {
        case .integers(let values):
            let target = context.scratch.take(times.count, of: Int64.self)
            if let nulls = times.nulls {
                for index in 0..<times.count { target[index] = nulls[index] != 0 ? 0 : cursor.bucket(values[index]) }
            } else {
                for index in 0..<times.count { target[index] = cursor.bucket(values[index]) }
            }
            return Dense(.integers(target), nulls: times.nulls, count: times.count)
        case .constant(.null): return times
        default:
            var values: [SQLValue] = []
            for index in 0..<times.count {
                values.append(try TimeFunctions.time(times.value(index)).map { .integer(cursor.bucket($0)) } ?? .null)
            }
            return Dense(.values(values), count: times.count)
        }
    }

    /// Buckets of one width in UTC as codes, in the order of time: no division a row, and no look-up to group by.
    private func codedBuckets(_ plan: BucketPlan, _ times: Dense, _ scratch: Scratch) -> Dense? {
        guard let (width, origin) = plan.division, case .integers(let values) = times.form, times.nulls == nil,
            times.count > 64
        else { return nil }
        var least = Int64.max
        var greatest = Int64.min
        for index in 0..<times.count {
            least = min(least, values[index])
            greatest = max(greatest, values[index])
        }
        // Within 2^52 a double holds every difference exactly.
        guard least > -(1 << 51), greatest < 1 << 51, origin.magnitude < 1 << 51 else { return nil }
        let first = plan.bucket(least)
        let buckets = (plan.bucket(greatest) - first) / width + 1
        guard buckets <= max(1024, Int64(times.count)) else { return nil }
        let codes = scratch.take(times.count, of: UInt32.self)
        let inverse = 1 / Double(width)
        for index in 0..<times.count {
            let offset = values[index] &- first
            var code = Int64(Double(offset) * inverse)
            // The product can be off by one at a boundary.
            let rest = offset &- code &* width
            code &+= rest < 0 ? -1 : rest >= width ? 1 : 0
            codes[index] = UInt32(truncatingIfNeeded: code &+ 1)
        }
        let dictionary = VectorDictionary(values: (0..<buckets).map { .integer(first + $0 * width) })
        return Dense(.codes(codes, dictionary), count: times.count)
    }

    private func numbers(_ verdicts: UnsafeMutablePointer<UInt8>, _ context: UnitContext) -> Dense {
        let count = context.selection.count
        let target = context.scratch.take(count, of: Int64.self)
        let nulls = context.scratch.take(count, of: UInt8.self)
        var any: UInt8 = 0
        for index in 0..<count {
            target[index] = Int64(verdicts[index] & 1)
            nulls[index] = verdicts[index] >> 1
            any |= nulls[index]
        }
        return Dense(.integers(target), nulls: any == 0 ? nil : nulls, count: count)
    }

    /// All sides are computed for all rows: they have no effects, and errors of rows not taken cannot arise, since
    /// the planner takes only sides that never fail.
    private func choose(
        _ clauses: [(FilterNode, DenseNode)], _ otherwise: DenseNode, _ context: UnitContext
    ) throws(Fault) -> Dense {
        let count = context.selection.count
        let taken = context.scratch.take(count, of: UInt8.self)
        taken.update(repeating: UInt8(clauses.count), count: count)
        var sides: [Dense] = []
        for (number, clause) in clauses.enumerated().reversed() {
            let verdicts = try clause.0.verdicts(context)
            for index in 0..<count where verdicts[index] == 1 { taken[index] = UInt8(number) }
        }
        for clause in clauses { sides.append(try clause.1.evaluate(context)) }
        sides.append(try otherwise.evaluate(context))
        if let merged = mergeIntegers(sides, taken, context) { return merged }
        return Dense(.values((0..<count).map { sides[Int(taken[$0])].value($0) }), count: count)
    }

    private func mergeIntegers(
        _ sides: [Dense], _ taken: UnsafeMutablePointer<UInt8>, _ context: UnitContext
    ) -> Dense? {
        for side in sides {
            switch side.form {
            case .integers, .constant(.integer), .constant(.null): continue
            default: return nil
            }
        }
        let count = context.selection.count
        let target = context.scratch.take(count, of: Int64.self)
        let nulls = context.scratch.take(count, of: UInt8.self)
        var any: UInt8 = 0
        for index in 0..<count {
            let side = sides[Int(taken[index])]
            nulls[index] = 0
            switch side.form {
            case .integers(let values):
                target[index] = values[index]
                nulls[index] = side.isNull(index) ? 1 : 0
            case .constant(.integer(let value)): target[index] = value
            default:
                target[index] = 0
                nulls[index] = 1
            }
            any |= nulls[index]
        }
        return Dense(.integers(target), nulls: any == 0 ? nil : nulls, count: count)
    }
}

/// `+ - * / %` over columns of numbers; everything else value by value.
enum DenseArithmetic {
    static func compute(_ operation: BinaryOperator, _ left: Dense, _ right: Dense, _ scratch: Scratch) -> Dense {
        if left.isConstantNull || right.isConstantNull { return Dense(.constant(.null), count: left.count) }
        if let result = integers(operation, left, right, scratch) ?? doubles(operation, left, right, scratch) {
            return result
        }
        let values = (0..<left.count).map { index in
            value(operation, left.value(index), right.value(index))
        }
        return Dense(.values(values), count: left.count)
    }

    private static func value(_ operation: BinaryOperator, _ a: SQLValue, _ b: SQLValue) -> SQLValue {
        switch operation {
        case .add: Arithmetic.add(a, b)
        case .subtract: Arithmetic.subtract(a, b)
        case .multiply: Arithmetic.multiply(a, b)
        case .divide: Arithmetic.divide(a, b)
        default: Arithmetic.modulo(a, b)
        }
    }

    private static func wholeNumbers(_ side: Dense, _ scratch: Scratch) -> UnsafeMutablePointer<Int64>? {
        switch side.form {
        case .integers(let values): return values
        case .constant(.integer(let value)):
            let target = scratch.take(side.count, of: Int64.self)
            target.update(repeating: value, count: side.count)
            return target
        default: return nil
        }
    }

    private static func realNumbers(_ side: Dense, _ scratch: Scratch) -> UnsafeMutablePointer<Double>? {
        switch side.form {
        case .doubles(let values): return values
        case .constant(.double(let value)):
            let target = scratch.take(side.count, of: Double.self)
            target.update(repeating: value, count: side.count)
            return target
        default:
            guard let whole = wholeNumbers(side, scratch) else { return nil }
            let target = scratch.take(side.count, of: Double.self)
            for index in 0..<side.count { target[index] = Double(whole[index]) }
            return target
        }
    }

    private static func united(_ left: Dense, _ right: Dense, _ scratch: Scratch) -> UnsafeMutablePointer<UInt8>? {
        guard let first = left.nulls else { return right.nulls }
        guard let second = right.nulls else { return first }
        let target = scratch.take(left.count, of: UInt8.self)
        for index in 0..<left.count { target[index] = first[index] | second[index] }
        return target
    }

    /// `nil` when a side holds other than integers, or when a row overflows or divides by zero.
    private static func integers(
        _ operation: BinaryOperator, _ left: Dense, _ right: Dense, _ scratch: Scratch
    ) -> Dense? {
        guard let a = wholeNumbers(left, scratch), let b = wholeNumbers(right, scratch) else { return nil }
        let count = left.count
        let target = scratch.take(count, of: Int64.self)
        var failed = false
        @inline(__always)
        func each(_ body: (Int64, Int64) -> (partialValue: Int64, overflow: Bool)) {
            for index in 0..<count {
                let (value, overflow) = body(a[index], b[index])
                target[index] = value
                failed = failed || overflow
            }
        }
        let nulls = united(left, right, scratch)
        switch operation {
        case .add: each { $0.addingReportingOverflow($1) }
        case .subtract: each { $0.subtractingReportingOverflow($1) }
        case .multiply: each { $0.multipliedReportingOverflow(by: $1) }
        case .divide: each { $0.dividedReportingOverflow(by: $1) }
        case .modulo: each { $0.remainderReportingOverflow(dividingBy: $1) }
        default: return nil
        }
        return failed ? nil : Dense(.integers(target), nulls: nulls, count: count)
    }

    /// `nil` when a result is NULL (a division by zero, not a number) or a side holds other than numbers.
    private static func doubles(
        _ operation: BinaryOperator, _ left: Dense, _ right: Dense, _ scratch: Scratch
    ) -> Dense? {
        switch (left.form, right.form) {
        case (.doubles, _), (_, .doubles), (.constant(.double), _), (_, .constant(.double)): break
        default: return nil
        }
        guard operation == .add || operation == .subtract || operation == .multiply || operation == .divide,
            let a = realNumbers(left, scratch), let b = realNumbers(right, scratch)
        else { return nil }
        let count = left.count
        let target = scratch.take(count, of: Double.self)
        let nulls = united(left, right, scratch)
        var failed = false
        for index in 0..<count {
            let value: Double
            switch operation {
            case .add: value = a[index] + b[index]
            case .subtract: value = a[index] - b[index]
            case .multiply: value = a[index] * b[index]
            default:
                value = a[index] / b[index]
                failed = failed || b[index] == 0
            }
            target[index] = value
            failed = failed || value.isNaN
        }
        return failed ? nil : Dense(.doubles(target), nulls: nulls, count: count)
    }
}
