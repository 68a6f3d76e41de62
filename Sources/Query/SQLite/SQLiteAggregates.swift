// This store's aggregates, for SQLite: `quantile(x, p)`, also over windows, and `first`/`last(x, t[, s])`.

import EventStoreCore
import GRDBSQLite

enum SQLiteAggregates {
    static func register(on connection: OpaquePointer, _ context: SQLiteContext) -> Int32 {
        let pointer = Unmanaged.passUnretained(context).toOpaque()
        var code = sqlite3_create_window_function(
            connection, "quantile", 2, SQLiteFunctions.flags, pointer, quantileStep, quantileFinal, quantileValue,
            quantileInverse, nil)
        for count in [Int32(2), 3] where code == SQLITE_OK {
            code = sqlite3_create_function_v2(
                connection, "first", count, SQLiteFunctions.flags, pointer, nil, firstStep, edgeFinal, nil)
            guard code == SQLITE_OK else { break }
            code = sqlite3_create_function_v2(
                connection, "last", count, SQLiteFunctions.flags, pointer, nil, lastStep, edgeFinal, nil)
        }
        return code
    }
}

private typealias Values = UnsafeMutablePointer<OpaquePointer?>

private func context(_ call: OpaquePointer?) -> SQLiteContext? {
    sqlite3_user_data(call).map { Unmanaged<SQLiteContext>.fromOpaque($0).takeUnretainedValue() }
}

/// The state of a group, made at its first row. SQLite keeps a pointer to it and calls the last step always.
private func state<State: AnyObject>(_ call: OpaquePointer?, _ new: () -> State) -> State? {
    guard let memory = sqlite3_aggregate_context(call, Int32(MemoryLayout<UnsafeMutableRawPointer?>.size)) else {
        return nil
    }
    let slot = memory.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    if let known = slot.pointee { return Unmanaged<State>.fromOpaque(known).takeUnretainedValue() }
    let state = new()
    slot.pointee = Unmanaged.passRetained(state).toOpaque()
    return state
}

/// The state of a group if it had any row; it is let go when `ends`.
private func finished<State: AnyObject>(_ call: OpaquePointer?, _ type: State.Type, ends: Bool) -> State? {
    guard let memory = sqlite3_aggregate_context(call, 0) else { return nil }
    let slot = memory.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    guard let known = slot.pointee else { return nil }
    let state = Unmanaged<State>.fromOpaque(known)
    guard ends else { return state.takeUnretainedValue() }
    slot.pointee = nil
    return state.takeRetainedValue()
}

// MARK: Quantile

/// The numbers of a group. Sorted when first asked, and kept so from then on, for windows that move.
private final class Quantile {
    var numbers: [Double] = []
    var share = 0.0
    private var isSorted = false

    func add(_ number: Double) {
        if isSorted { numbers.insert(number, at: place(number)) } else { numbers.append(number) }
    }

    func remove(_ number: Double) {
        sort()
        let at = place(number)
        if at < numbers.count, numbers[at] == number { numbers.remove(at: at) }
    }

    /// Linear interpolation between the two closest ranks (Hyndman and Fan 1996, definition 7).
    func value() -> Double? {
        guard !numbers.isEmpty else { return nil }
        sort()
        let rank = share * Double(numbers.count - 1)
        let low = Int(rank)
        let part = rank - Double(low)
        guard part > 0, low + 1 < numbers.count else { return numbers[low] }
        return QuantileSelection.between(numbers[low], numbers[low + 1], part)
    }

    private func sort() {
        if !isSorted { numbers.sort() }
        isSorted = true
    }

    /// The first index whose number is not below.
    private func place(_ number: Double) -> Int {
        var range = 0..<numbers.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = numbers[middle] < number ? (middle + 1)..<range.upperBound : range.lowerBound..<middle
        }
        return range.lowerBound
    }
}

private func number(_ value: OpaquePointer?) -> Double? {
    switch sqlite3_value_type(value) {
    case SQLITE_INTEGER, SQLITE_FLOAT: sqlite3_value_double(value)
    default: nil
    }
}

private let quantileStep: @convention(c) (OpaquePointer?, Int32, Values?) -> Void = { call, _, values in
    guard let values, let context = context(call), let quantile = state(call, Quantile.init) else { return }
    guard let share = number(values[1]), share >= 0, share <= 1 else {
        let fault = Fault(.invalid, "the second argument of quantile is a number from 0 to 1")
        return SQLiteFunctions.fail(call, context, fault)
    }
    quantile.share = share
    guard let number = number(values[0]) else { return }
    guard context.reserve(MemoryLayout<Double>.stride) else {
        return SQLiteFunctions.fail(call, context, context.beyondBudget)
    }
    quantile.add(number)
}

private let quantileInverse: @convention(c) (OpaquePointer?, Int32, Values?) -> Void = { call, _, values in
    guard let values, let context = context(call), let number = number(values[0]) else { return }
    state(call, Quantile.init)?.remove(number)
    context.release(MemoryLayout<Double>.stride)
}

private func giveQuantile(_ call: OpaquePointer?, ends: Bool) {
    let quantile = finished(call, Quantile.self, ends: ends)
    if let value = quantile?.value() { sqlite3_result_double(call, value) } else { sqlite3_result_null(call) }
    if ends, let quantile { context(call)?.release(quantile.numbers.count * MemoryLayout<Double>.stride) }
}

private let quantileValue: @convention(c) (OpaquePointer?) -> Void = { giveQuantile($0, ends: false) }
private let quantileFinal: @convention(c) (OpaquePointer?) -> Void = { giveQuantile($0, ends: true) }

// MARK: First and last

/// The value of the row that comes first, or last, by what it is ordered by.
private final class Edge {
    var value = SQLValue.null
    var order: [SQLValue] = []

    /// Rows without a value or without a time do not count; of rows that tie, the one seen first stays.
    func take(_ values: UnsafeBufferPointer<OpaquePointer?>, isLast: Bool) -> Bool {
        guard sqlite3_value_type(values[0]) != SQLITE_NULL, sqlite3_value_type(values[1]) != SQLITE_NULL else {
            return true
        }
        var order: [SQLValue] = []
        for value in values.dropFirst() {
            guard let value = SQLValue(value) else { return false }
            order.append(value)
        }
        if !self.order.isEmpty {
            let compared = zip(order, self.order).lazy.map { SQLValue.order($0, $1) }.first { $0 != 0 } ?? 0
            guard isLast ? compared > 0 : compared < 0 else { return true }
        }
        guard let value = SQLValue(values[0]) else { return false }
        (self.value, self.order) = (value, order)
        return true
    }
}

private func edgeStep(_ call: OpaquePointer?, _ count: Int32, _ values: Values?, isLast: Bool) {
    guard let context = context(call), let edge = state(call, Edge.init) else { return }
    if !edge.take(UnsafeBufferPointer(start: values, count: Int(count)), isLast: isLast) {
        SQLiteFunctions.fail(call, context, Fault(.invalid, "first and last take numbers and text, no BLOB"))
    }
}

private let firstStep: @convention(c) (OpaquePointer?, Int32, Values?) -> Void = {
    edgeStep($0, $1, $2, isLast: false)
}
private let lastStep: @convention(c) (OpaquePointer?, Int32, Values?) -> Void = {
    edgeStep($0, $1, $2, isLast: true)
}
private let edgeFinal: @convention(c) (OpaquePointer?) -> Void = { call in
    if let edge = finished(call, Edge.self, ends: true) { edge.value.give(to: call) } else { sqlite3_result_null(call) }
}
