// The aggregates of the reference: each keeps its rows or a plain total and answers at the end.

import GRDBSQLite

/// The state of an aggregate over one group.
protocol AggregateState: AnyObject {
    init()
    func step(_ values: [OpaquePointer?])
    func finish() -> Cell
}

/// The C functions of an aggregate. They know its state's class by the connection's user data.
struct AggregateFunctions {
    let box: UnsafeMutableRawPointer
    let step: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void
    let final: @convention(c) (OpaquePointer?) -> Void
}

/// Makes states of a class; one per class, kept for the life of the process.
private final class StateFactory {
    let make: () -> any AggregateState
    init(_ make: @escaping () -> any AggregateState) { self.make = make }
}

/// What SQLite's aggregate context points at.
private final class StateBox {
    let state: any AggregateState
    init(_ state: any AggregateState) { self.state = state }
}

private func boxed(_ context: OpaquePointer?, makes: Bool) -> Unmanaged<StateBox>? {
    let size = MemoryLayout<UnsafeMutableRawPointer?>.size
    guard let place = sqlite3_aggregate_context(context, makes ? Int32(size) : 0) else { return nil }
    let slot = place.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    if let known = slot.pointee { return Unmanaged<StateBox>.fromOpaque(known) }
    guard makes, let data = sqlite3_user_data(context) else { return nil }
    let made = Unmanaged.passRetained(StateBox(Unmanaged<StateFactory>.fromOpaque(data).takeUnretainedValue().make()))
    slot.pointee = made.toOpaque()
    return made
}

extension AggregateState {
    static var functions: AggregateFunctions {
        AggregateFunctions(
            box: Unmanaged.passRetained(StateFactory { Self() }).toOpaque(),
            step: { context, count, values in
                guard let values, let box = boxed(context, makes: true) else { return }
                box.takeUnretainedValue().state.step((0..<Int(count)).map { values[$0] })
            },
            final: { context in
                guard let box = boxed(context, makes: false) else {
                    return sqlite3_result_null(context)
                }
                let answer = box.takeUnretainedValue().state.finish()
                box.release()
                ReferenceFunctions.result(context, answer)
            })
    }
}

/// `quantile(x, p)`: linear interpolation between the two nearest ranks of the numbers.
final class QuantileState: AggregateState {
    private var numbers: [Double] = []
    private var share = 0.5

    func step(_ values: [OpaquePointer?]) {
        share = sqlite3_value_double(values[1])
        if let number = ReferenceFunctions.cell(values[0]).number { numbers.append(number) }
    }

    func finish() -> Cell {
        guard !numbers.isEmpty else { return .null }
        numbers.sort()
        let place = share * Double(numbers.count - 1)
        let low = Int(place.rounded(.down))
        let part = place - Double(low)
        guard part > 0, low + 1 < numbers.count, numbers[low] != numbers[low + 1] else { return .real(numbers[low]) }
        let distance = numbers[low + 1] - numbers[low]
        if distance.isFinite { return .real(numbers[low] + distance * part) }
        // Halved, no two doubles are too far apart.
        return .real(2 * (numbers[low] / 2 + (numbers[low + 1] / 2 - numbers[low] / 2) * part))
    }
}

/// `first(x)`: x, if not NULL, of the row with the least (order, timestamp, sequence); here these are arguments of their own.
class FirstState: AggregateState {
    private var best: (value: Cell, order: [Cell])?

    required init() {}

    func isBetter(_ order: Int) -> Bool { order < 0 }

    func step(_ values: [OpaquePointer?]) {
        let value = ReferenceFunctions.cell(values[0])
        if value == .null { return }
        let order = values.dropFirst().map { ReferenceFunctions.cell($0) }
        if order[0] == .null { return }
        if let best, !isBetter(compare(order, best.order)) { return }
        best = (value, order)
    }

    private func compare(_ a: [Cell], _ b: [Cell]) -> Int {
        for (left, right) in zip(a, b) {
            let order = Cell.sqlOrder(left, right)
            if order != 0 { return order }
        }
        return 0
    }

    func finish() -> Cell { best?.value ?? .null }
}

final class LastState: FirstState {
    override func isBetter(_ order: Int) -> Bool { order > 0 }
}

/// `sum(x)` whose outcome does not hang on the order of the rows: integers are summed exactly, and only their total
/// can overflow. SQLite's own gives "integer overflow" as soon as a partial sum leaves 64 bits. An overflow is a text
/// here, so that the other groups can still be compared.
final class ExactSumState: AggregateState {
    static let overflow = Cell.text("integer overflow")
    private var whole: Int128 = 0
    private var rest = 0.0
    private var hasReal = false
    private var count = 0

    func step(_ values: [OpaquePointer?]) {
        switch ReferenceFunctions.number(values[0]) {
        case .integer(let number): whole += Int128(number)
        case .real(let number):
            rest += number
            hasReal = true
        default: return
        }
        count += 1
    }

    func finish() -> Cell {
        if count == 0 { return .null }
        if hasReal { return .real(Double(whole) + rest) }
        return Int64(exactly: whole).map { .integer($0) } ?? Self.overflow
    }
}
