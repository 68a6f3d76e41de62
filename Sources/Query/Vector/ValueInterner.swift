// Values to dense codes, by SQL's equality: how groups and distinct values are told apart across units.

import EventStoreCore

/// Codes 1, 2, 3 … of values in order of first appearance; 0 is NULL. Values that are equal in SQL, as 1 and 1.0 are,
/// share a code and show as the one that came first.
final class ValueInterner {
    private struct Entry: BitwiseCopyable {
        var kind: UInt8
        var payload: UInt64
    }

    private struct State: ~Copyable {
        var texts = StringTable(capacity: 64)
        var textCodes = GrowableBuffer<UInt32>()
        var integers: [Int64: UInt32] = [:]
        var doubles: [UInt64: UInt32] = [:]
        /// Of code c at c - 1. Texts as numbers in `texts`, so that a text costs no allocation until it is shown.
        var entries = GrowableBuffer<Entry>()
        /// The texts of the column, once a unit came whose texts have codes in common with others.
        var shared: SharedTexts?
        /// Code here of each code there; 0 where not known yet, and of NULL.
        var sharedCodes = GrowableBuffer<UInt32>()

        mutating func add(_ kind: UInt8, _ payload: UInt64) -> UInt32 {
            entries.append(Entry(kind: kind, payload: payload))
            return UInt32(truncatingIfNeeded: entries.count)
        }
    }

    /// Behind a pointer: a class's own stored values would be guarded at every access.
    private let state = UnsafeMutablePointer<State>.allocate(capacity: 1)

    init() { state.initialize(to: State()) }

    deinit {
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// Codes given out, NULL not counted.
    var count: Int { state.pointee.entries.count }
    var byteCount: Int {
        state.pointee.texts.byteCount + state.pointee.textCodes.byteCount + state.pointee.entries.byteCount
            + (state.pointee.integers.capacity + state.pointee.doubles.capacity) * 24
            + state.pointee.sharedCodes.byteCount
    }

    // MARK: Codes that units have in common

    /// Whether `code(shared:)` may be asked of these codes: all that it is asked of must be of the same texts.
    func takes(_ codes: SharedCodes) -> Bool {
        if state.pointee.shared == nil { state.pointee.shared = codes.texts }
        guard state.pointee.shared === codes.texts else { return false }
        reserve(codes.limit)
        return true
    }

    private func reserve(_ limit: Int) {
        let known = state.pointee.sharedCodes.count
        if known < limit { state.pointee.sharedCodes.resize(to: limit, filling: 0) }
    }

    /// The code here of a shared code.
    @inline(__always)
    func code(shared code: UInt32) -> UInt32 {
        let known = state.pointee.sharedCodes.base[Int(code)]
        return known != 0 || code == 0 ? known : newCode(shared: code)
    }

    @inline(never)
    private func newCode(shared code: UInt32) -> UInt32 {
        guard let shared = state.pointee.shared else { preconditionFailure("codes of shared texts") }
        // The text may have come before it was shared.
        let own = state.pointee.texts.count == 0 ? nil : shared.withBytes(code) { state.pointee.texts.find($0) }
        let fresh = own.map { state.pointee.textCodes.base[Int($0)] } ?? state.pointee.add(3, UInt64(code))
        state.pointee.sharedCodes.base[Int(code)] = fresh
        return fresh
    }

    /// The code here of a text that is shared; 0 when it is not.
    private func sharedCode(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        guard let code = state.pointee.shared?.find(bytes), code != 0 else { return 0 }
        reserve(Int(code) + 1)
        return self.code(shared: code)
    }

    // MARK: Codes of values

    func code(text bytes: UnsafeRawBufferPointer) -> UInt32 {
        let shared = sharedCode(of: bytes)
        if shared != 0 { return shared }
        let number = state.pointee.texts.intern(bytes)
        if Int(number) < state.pointee.textCodes.count { return state.pointee.textCodes.base[Int(number)] }
        let code = state.pointee.add(2, UInt64(number))
        state.pointee.textCodes.append(code)
        return code
    }

    func code(integer value: Int64) -> UInt32 {
        if let known = state.pointee.integers[value] { return known }
        let code = state.pointee.add(0, UInt64(bitPattern: value))
        state.pointee.integers[value] = code
        return code
    }

    /// A double that equals an integer shares the integer's code.
    func code(double value: Double) -> UInt32 {
        if let whole = Int64(exactly: value) {
            if let known = state.pointee.integers[whole] { return known }
            let code = state.pointee.add(1, value.bitPattern)
            state.pointee.integers[whole] = code
            return code
        }
        return code(bitsOf: value)
    }

    private func code(bitsOf value: Double) -> UInt32 {
        if let known = state.pointee.doubles[value.bitPattern] { return known }
        let code = state.pointee.add(1, value.bitPattern)
        state.pointee.doubles[value.bitPattern] = code
        return code
    }

    func code(_ value: SQLValue) -> UInt32 {
        switch value {
        case .null: 0
        case .integer(let number): code(integer: number)
        case .double(let number): code(double: number)
        case .text(let text): text.withBytes { code(text: $0) }
        }
    }

    /// As `code`, but 1 and 1.0 are two values: for columns, whose rows must keep what they are. A `ValueInterner` is
    /// used one way or the other.
    func codeOfIdentical(_ value: SQLValue) -> UInt32 {
        guard case .double(let number) = value else { return code(value) }
        return code(bitsOf: number)
    }

    func value(_ code: UInt32) -> SQLValue {
        if code == 0 { return .null }
        let entry = state.pointee.entries.base[Int(code) - 1]
        switch entry.kind {
        case 0: return .integer(Int64(bitPattern: entry.payload))
        case 1: return .double(Double(bitPattern: entry.payload))
        case 3: return .text(state.pointee.shared?.text(UInt32(entry.payload)) ?? "")
        default: return .text(Text(state.pointee.texts.bytes(Int(entry.payload))))
        }
    }

    var allValues: [SQLValue] { (0..<count).map { value(UInt32($0) + 1) } }

    /// The code here of a value of another interner.
    func code(_ other: ValueInterner, _ code: UInt32) -> UInt32 {
        if code == 0 { return 0 }
        let entry = other.state.pointee.entries.base[Int(code) - 1]
        switch entry.kind {
        case 0: return self.code(integer: Int64(bitPattern: entry.payload))
        case 1: return self.code(double: Double(bitPattern: entry.payload))
        case 3: return self.code(other.state.pointee.shared, UInt32(entry.payload))
        default: return self.code(text: other.state.pointee.texts.bytes(Int(entry.payload)))
        }
    }

    /// The code here of a text that another interner knows as shared.
    private func code(_ texts: SharedTexts?, _ code: UInt32) -> UInt32 {
        guard let texts else { return 0 }
        if state.pointee.shared == nil { state.pointee.shared = texts }
        if state.pointee.shared === texts {
            reserve(Int(code) + 1)
            return self.code(shared: code)
        }
        return texts.text(code).withBytes { self.code(text: $0) }
    }
}
