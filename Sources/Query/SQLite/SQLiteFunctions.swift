// This store's functions of one row, for SQLite: `time_bucket`, `date_trunc`, `iso`.

import EventStoreCore
import GRDBSQLite

enum SQLiteFunctions {
    /// The context must outlive the connection.
    static func register(on connection: OpaquePointer, _ context: SQLiteContext) -> Int32 {
        for function in [ScalarFunction.timeBucket, .dateTrunc, .iso] {
            let box = Unmanaged.passRetained(FunctionBox(function, context))
            let code = sqlite3_create_function_v2(
                connection, function.rawValue, -1, flags, box.toOpaque(), call, nil, nil
            ) { pointer in
                if let pointer { Unmanaged<FunctionBox>.fromOpaque(pointer).release() }
            }
            guard code == SQLITE_OK else { return code }
        }
        return SQLiteAggregates.register(on: connection, context)
    }

    static let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS

    /// Stops the statement; the fault itself is kept beside SQLite's text.
    static func fail(_ call: OpaquePointer?, _ context: SQLiteContext, _ fault: Fault) {
        context.keep(fault)
        sqlite3_result_error(call, fault.message, -1)
    }
}

private final class FunctionBox {
    let function: ScalarFunction
    unowned let context: SQLiteContext

    init(_ function: ScalarFunction, _ context: SQLiteContext) {
        self.function = function
        self.context = context
    }
}

private let call: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void = {
    call, count, values in
    guard let pointer = sqlite3_user_data(call) else { return }
    let box = Unmanaged<FunctionBox>.fromOpaque(pointer).takeUnretainedValue()
    var arguments: [SQLValue] = []
    for value in UnsafeBufferPointer(start: values, count: Int(count)) {
        guard let argument = SQLValue(value) else {
            let fault = Fault(.invalid, "\(box.function.rawValue) takes numbers and text, no BLOB")
            return SQLiteFunctions.fail(call, box.context, fault)
        }
        arguments.append(argument)
    }
    do throws(Fault) {
        try ScalarFunction.call(box.function, arguments, zones: box.context.zones).give(to: call)
    } catch {
        SQLiteFunctions.fail(call, box.context, error)
    }
}
