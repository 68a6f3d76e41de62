// Conditions over the rows of a unit, in SQL's three-valued logic.
//
// A condition on one column is decided once per distinct value where the column is coded, by an interval test where
// it holds numbers; only what is left is computed row by row. Verdicts: 0 false, 1 true, 2 NULL.

import EventStoreCore

/// How one column decides. One per worker: it remembers verdicts of the unit at hand.
final class ColumnTest {
    enum Numbers {
        /// Any number gives this verdict.
        case fixed(UInt8)
        case intervals(NumberTest<Int64>?, NumberTest<Double>?)
        case program
    }

    let column: Int
    /// The condition with the column as slot 0.
    let program: ScalarProgram
    let nullVerdict: UInt8
    let numbers: Numbers
    /// Decides a text by its bytes; `nil` takes the program.
    let text: ((UnsafeRawBufferPointer) -> UInt8)?
    /// A pattern that is looked for in all texts at once, and whether texts that have it are the wrong ones.
    let search: (pattern: LikePattern, isNegated: Bool)?

    init(
        column: Int, program: ScalarProgram, numbers: Numbers, text: ((UnsafeRawBufferPointer) -> UInt8)?,
        search: (pattern: LikePattern, isNegated: Bool)? = nil
    ) throws(Fault) {
        self.search = search
        self.column = column
        self.program = program
        self.numbers = numbers
        self.text = text
        nullVerdict = try ColumnTest.verdict(program, .null)
    }

    static func verdict(_ program: ScalarProgram, _ value: SQLValue) throws(Fault) -> UInt8 {
        var slot = value
        let result = try program.value(&slot)
        return result.truth.map { $0 ? 1 : 0 } ?? 2
    }

    @inline(__always)
    func verdict(_ dictionary: VectorDictionary, _ code: UInt32) throws(Fault) -> UInt8 {
        if code == 0 { return nullVerdict }
        if dictionary.isText, let text { return text(dictionary.bytes(code)) }
        return try ColumnTest.verdict(program, dictionary.value(code))
    }

    func verdict(integer value: Int64) throws(Fault) -> UInt8 {
        switch numbers {
        case .fixed(let verdict): verdict
        case .intervals(let test, _): test.map { $0.matches(value) ? 1 : 0 } ?? 0
        case .program: try ColumnTest.verdict(program, .integer(value))
        }
    }

    func verdict(double value: Double) throws(Fault) -> UInt8 {
        switch numbers {
        case .fixed(let verdict): verdict
        case .intervals(_, let test): test.map { $0.matches(value) ? 1 : 0 } ?? 0
        case .program: try ColumnTest.verdict(program, .double(value))
        }
    }
}

indirect enum FilterNode {
    case constant(UInt8)
    case test(ColumnTest)
    /// The event with an id: found by short hashes, confirmed by the id.
    case id(EventID, hash: Int, column: Int)
    case and([FilterNode])
    case or([FilterNode])
    case not(FilterNode)
    /// Any expression: its columns by position of slot.
    case program(ScalarProgram, columns: [Int])
    /// The truth of a number computed by columns.
    case truth(DenseNode)
}

extension FilterNode {
    /// Keeps the selected rows for which the condition is true.
    func narrow(_ context: UnitContext) throws(Fault) {
        if context.selection.count == 0 { return }
        if case .test(let test) = self, let vector = try context.vector(test.column) {
            return try test.narrow(vector, context)
        }
        switch self {
        case .constant(let verdict):
            if verdict != 1 { context.selection = Selection(rows: nil, count: 0) }
        case .and(let nodes):
            for node in nodes { try node.narrow(context) }
        case .id(let id, let hash, let column):
            try FilterNode.keep(id.shortHash, hash, context)
            if context.selection.count > 0 { try FilterNode.keep(id, column, context) }
        default:
            let verdicts = try self.verdicts(context)
            let kept = context.scratch.take(context.selection.count, of: UInt32.self)
            var count = 0
            for index in 0..<context.selection.count {
                kept[count] = UInt32(truncatingIfNeeded: context.selection.row(index))
                count &+= verdicts[index] == 1 ? 1 : 0
            }
            context.selection = Selection(rows: kept, count: count)
        }
    }

    /// The verdict of every selected row.
    func verdicts(_ context: UnitContext) throws(Fault) -> UnsafeMutablePointer<UInt8> {
        let count = context.selection.count
        let target = context.scratch.take(count, of: UInt8.self)
        switch self {
        case .constant(let verdict): target.update(repeating: verdict, count: count)
        case .id(let id, _, let column):
            let ids = try context.vector(column)?.data.assumingMemoryBound(to: EventID.self)
            for index in 0..<count { target[index] = ids?[context.selection.row(index)] == id ? 1 : 0 }
        case .test(let test): try test.verdicts(try context.dense(test.column), context.scratch, target)
        case .not(let node):
            let inner = try node.verdicts(context)
            // 0 and 1 change places, 2 stays.
            for index in 0..<count { target[index] = inner[index] == 2 ? 2 : 1 &- inner[index] }
        case .and(let nodes):
            target.update(repeating: 1, count: count)
            for node in nodes {
                let other = try node.verdicts(context)
                for index in 0..<count { target[index] = Logic.and(target[index], other[index]) }
            }
        case .or(let nodes):
            target.update(repeating: 0, count: count)
            for node in nodes {
                let other = try node.verdicts(context)
                for index in 0..<count { target[index] = Logic.or(target[index], other[index]) }
            }
        case .program(let program, let columns):
            try RowProgram.run(program, columns, context) { index, value in
                target[index] = value.truth.map { $0 ? 1 : 0 } ?? 2
            }
        case .truth(let node):
            let values = try node.evaluate(context)
            for index in 0..<count { target[index] = values.value(index).truth.map { $0 ? 1 : 0 } ?? 2 }
        }
        return target
    }
}

extension FilterNode {
    /// Keeps the selected rows whose element of a column is this one.
    private static func keep<T: BitwiseCopyable & Equatable>(
        _ wanted: T, _ column: Int, _ context: UnitContext
    ) throws(Fault) {
        guard let vector = try context.vector(column) else { return }
        let elements = vector.data.assumingMemoryBound(to: T.self)
        try context.keep { (row) throws(Fault) in elements[row] == wanted }
    }
}

/// Three-valued logic on verdicts.
enum Logic {
    @inline(__always)
    static func and(_ a: UInt8, _ b: UInt8) -> UInt8 { a == 0 || b == 0 ? 0 : max(a, b) }
    @inline(__always)
    static func or(_ a: UInt8, _ b: UInt8) -> UInt8 { a == 1 || b == 1 ? 1 : a | b }
}

/// Expressions computed row by row.
enum RowProgram {
    static func run(
        _ program: ScalarProgram, _ columns: [Int], _ context: UnitContext, _ body: (Int, SQLValue) -> Void
    ) throws(Fault) {
        var sources: [Dense] = []
        for column in columns { sources.append(try context.dense(column)) }
        // Text values of coded columns are made once per entry.
        var known = sources.map { _ in [UInt32: SQLValue]() }
        var slots = [SQLValue](repeating: .null, count: max(columns.count, 1))
        for index in 0..<context.selection.count {
            for place in sources.indices {
                if case .codes(let codes, let dictionary) = sources[place].form {
                    let code = codes[index]
                    if let value = known[place][code] {
                        slots[place] = value
                    } else {
                        let value = dictionary.value(code)
                        known[place][code] = value
                        slots[place] = value
                    }
                } else {
                    slots[place] = sources[place].value(index)
                }
            }
            body(
                index,
                try slots.withUnsafeBufferPointer { (slots) throws(Fault) in try program.value(slots.baseAddress!) })
        }
    }
}
