// The store's own functions, written again for the reference connection, plainly.

import Foundation
import GRDBSQLite

/// What the functions of one connection remember.
final class FunctionMemory {
    private var zones: [String: CalendarTime] = [:]

    func calendar(_ zone: String?) -> CalendarTime? {
        if let known = zones[zone ?? ""] { return known }
        guard let made = CalendarTime(zone: zone) else { return nil }
        zones[zone ?? ""] = made
        return made
    }
}

enum ReferenceFunctions {
    private typealias Arguments = UnsafeMutablePointer<OpaquePointer?>?

    static func register(on connection: SQLiteConnection) throws {
        for count in [2, 3] {
            try scalar("time_bucket", count, connection) { context, count, values in
                ReferenceFunctions.time(context, count, values) { $0.bucket($1, $2) }
            }
            try scalar("date_trunc", count, connection) { context, count, values in
                ReferenceFunctions.time(context, count, values) { $0.truncated($1, $2) }
            }
        }
        for count in [1, 2] {
            try scalar("iso", count, connection) { context, count, values in
                guard let values, let calendar = ReferenceFunctions.calendar(context, count > 1 ? values[1] : nil),
                    case .integer(let time) = ReferenceFunctions.cell(values[0])
                else { return sqlite3_result_null(context) }
                ReferenceFunctions.result(context, .text(calendar.text(time)))
            }
        }
        try aggregate("quantile", 2, connection, QuantileState.self)
        try aggregate("first", 3, connection, FirstState.self)
        try aggregate("last", 3, connection, LastState.self)
        try aggregate("exact_sum", 1, connection, ExactSumState.self)
    }

    private static func scalar(
        _ name: String, _ count: Int, _ connection: SQLiteConnection,
        _ body: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void
    ) throws {
        let memory = Unmanaged.passRetained(FunctionMemory()).toOpaque()
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC
        let code = sqlite3_create_function_v2(
            connection.handle, name, Int32(count), flags, memory, body, nil, nil,
            { if let memory = $0 { Unmanaged<FunctionMemory>.fromOpaque(memory).release() } })
        if code != SQLITE_OK { throw connection.lastError }
    }

    private static func calendar(_ context: OpaquePointer?, _ zone: OpaquePointer?) -> CalendarTime? {
        guard let memory = sqlite3_user_data(context) else { return nil }
        let zones = Unmanaged<FunctionMemory>.fromOpaque(memory).takeUnretainedValue()
        guard let zone else { return zones.calendar(nil) }
        guard case .text(let name) = cell(zone) else { return nil }
        return zones.calendar(name)
    }

    private static func time(
        _ context: OpaquePointer?, _ count: Int32, _ values: Arguments,
        _ body: (CalendarTime, String, Int64) -> Int64?
    ) {
        guard let values, case .text(let width) = cell(values[0]), case .integer(let time) = cell(values[1]),
            let calendar = calendar(context, count > 2 ? values[2] : nil), let start = body(calendar, width, time)
        else { return sqlite3_result_null(context) }
        sqlite3_result_int64(context, start)
    }

    private static func aggregate<State: AggregateState>(
        _ name: String, _ count: Int, _ connection: SQLiteConnection, _: State.Type
    ) throws {
        let code = sqlite3_create_function_v2(
            connection.handle, name, Int32(count), SQLITE_UTF8, State.functions.box, nil, State.functions.step,
            State.functions.final, nil)
        if code != SQLITE_OK { throw connection.lastError }
    }

    static func cell(_ value: OpaquePointer?) -> Cell {
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: return .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: return .real(sqlite3_value_double(value))
        case SQLITE_TEXT:
            let bytes = UnsafeBufferPointer(start: sqlite3_value_text(value), count: Int(sqlite3_value_bytes(value)))
            return .text(String(decoding: bytes, as: UTF8.self))
        default: return .null
        }
    }

    /// The number SQLite's arithmetic would take a value for.
    static func number(_ value: OpaquePointer?) -> Cell {
        switch sqlite3_value_numeric_type(value) {
        case SQLITE_INTEGER: .integer(sqlite3_value_int64(value))
        case SQLITE_NULL: .null
        default: .real(sqlite3_value_double(value))
        }
    }

    static func result(_ context: OpaquePointer?, _ cell: Cell) {
        switch cell {
        case .null: sqlite3_result_null(context)
        case .integer(let number): sqlite3_result_int64(context, number)
        case .real(let number): sqlite3_result_double(context, number)
        case .text(var text):
            text.withUTF8 {
                $0.withMemoryRebound(to: CChar.self) {
                    guard let start = $0.baseAddress else { return sqlite3_result_text(context, "", 0, copied) }
                    sqlite3_result_text(context, start, Int32($0.count), copied)
                }
            }
        }
    }
}
