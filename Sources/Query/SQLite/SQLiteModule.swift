// The table of functions SQLite calls for a virtual table (sqlite.org/vtab.html), each a few lines that hand over to
// `VirtualTable` and `VirtualCursor`. Tables are eponymous only: they exist without a CREATE and take none.

import EventStoreCore
import GRDBSQLite

/// What SQLite sees as a `sqlite3_vtab`: its part comes first.
private struct TableHandle {
    var base = sqlite3_vtab()
    var table: Unmanaged<VirtualTable>
}

/// What SQLite sees as a `sqlite3_vtab_cursor`.
private struct CursorHandle {
    var base = sqlite3_vtab_cursor()
    var cursor: Unmanaged<VirtualCursor>
    /// Not owned: the context outlives all cursors.
    var context: Unmanaged<SQLiteContext>
}

enum SQLiteModule {
    /// Makes `source` a table of the connection. The context must outlive it.
    static func register(_ source: any RowSource, _ context: SQLiteContext, on connection: OpaquePointer) -> Int32 {
        let table = Unmanaged.passRetained(VirtualTable(context, source))
        return sqlite3_create_module_v2(connection, source.name, module, table.toOpaque()) { pointer in
            if let pointer { Unmanaged<VirtualTable>.fromOpaque(pointer).release() }
        }
    }

    /// Never changed after it is made, so that all threads may read it.
    private nonisolated(unsafe) static let module: UnsafeMutablePointer<sqlite3_module> = {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        var functions = sqlite3_module()
        functions.xConnect = connect
        functions.xDisconnect = disconnect
        functions.xBestIndex = bestIndex
        functions.xOpen = open
        functions.xClose = close
        functions.xFilter = filter
        functions.xNext = next
        functions.xEof = isAtEnd
        functions.xColumn = column
        functions.xRowid = rowNumber
        module.initialize(to: functions)
        return module
    }()
}

private func context(_ table: UnsafeMutablePointer<sqlite3_vtab>?) -> Unmanaged<VirtualTable>? {
    table.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: TableHandle.self).pointee.table }
}

private typealias CursorPointer = UnsafeMutablePointer<sqlite3_vtab_cursor>

/// Runs the work of a cursor's callback; its error is kept for `SQLiteRun.next` and stops the statement.
private func run(_ pointer: CursorPointer?, _ work: (VirtualCursor) throws(Fault) -> Void) -> Int32 {
    guard let pointer else { return SQLITE_MISUSE }
    let handle = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: CursorHandle.self)
    return handle.pointee.cursor._withUnsafeGuaranteedRef { cursor in
        do throws(Fault) {
            try work(cursor)
            return SQLITE_OK
        } catch {
            handle.pointee.context._withUnsafeGuaranteedRef { $0.keep(error) }
            return SQLITE_ERROR
        }
    }
}

private let connect:
    @convention(c) (
        OpaquePointer?, UnsafeMutableRawPointer?, Int32, UnsafePointer<UnsafePointer<CChar>?>?,
        UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> Int32 = { connection, auxiliary, _, _, result, message in
        guard let auxiliary, let result else { return SQLITE_MISUSE }
        let table = Unmanaged<VirtualTable>.fromOpaque(auxiliary)
        let declaration = TableColumn.declaration(table.takeUnretainedValue().source.columns)
        let code = sqlite3_declare_vtab(connection, declaration)
        guard code == SQLITE_OK else { return code }
        let handle = UnsafeMutablePointer<TableHandle>.allocate(capacity: 1)
        handle.initialize(to: TableHandle(table: table.retain()))
        result.pointee = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

private let disconnect: @convention(c) (UnsafeMutablePointer<sqlite3_vtab>?) -> Int32 = { pointer in
    guard let pointer else { return SQLITE_OK }
    let handle = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: TableHandle.self)
    handle.pointee.table.release()
    handle.deinitialize(count: 1)
    handle.deallocate()
    return SQLITE_OK
}

private let bestIndex:
    @convention(c) (
        UnsafeMutablePointer<sqlite3_vtab>?, UnsafeMutablePointer<sqlite3_index_info>?
    ) -> Int32 = { pointer, info in
        guard let info, let table = context(pointer)?.takeUnretainedValue() else { return SQLITE_MISUSE }
        do throws(Fault) {
            try table.plan(info)
            return SQLITE_OK
        } catch {
            table.context.keep(error)
            return SQLITE_ERROR
        }
    }

private let open: @convention(c) (UnsafeMutablePointer<sqlite3_vtab>?, UnsafeMutablePointer<CursorPointer?>?) -> Int32 =
    { pointer, result in
        guard let result, let table = context(pointer)?.takeUnretainedValue() else { return SQLITE_MISUSE }
        let handle = UnsafeMutablePointer<CursorHandle>.allocate(capacity: 1)
        handle.initialize(
            to: CursorHandle(
                cursor: .passRetained(VirtualCursor(table)), context: .passUnretained(table.context)))
        result.pointee = UnsafeMutableRawPointer(handle).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }

private let close: @convention(c) (CursorPointer?) -> Int32 = { pointer in
    guard let pointer else { return SQLITE_OK }
    let handle = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: CursorHandle.self)
    handle.pointee.cursor.release()
    handle.deinitialize(count: 1)
    handle.deallocate()
    return SQLITE_OK
}

private let filter:
    @convention(c) (
        CursorPointer?, Int32, UnsafePointer<CChar>?, Int32, UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 = { pointer, number, _, count, values in
        run(pointer) { cursor throws(Fault) in
            try cursor.filter(Int(number), UnsafeBufferPointer(start: values, count: Int(count)))
        }
    }

private let next: @convention(c) (CursorPointer?) -> Int32 = { pointer in
    run(pointer) { cursor throws(Fault) in try cursor.advance() }
}

private let isAtEnd: @convention(c) (CursorPointer?) -> Int32 = { pointer in
    guard let pointer else { return 1 }
    let handle = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: CursorHandle.self)
    return handle.pointee.cursor._withUnsafeGuaranteedRef { $0.isAtEnd ? 1 : 0 }
}

private let column: @convention(c) (CursorPointer?, OpaquePointer?, Int32) -> Int32 = { pointer, context, number in
    run(pointer) { cursor throws(Fault) in
        try cursor.value(Int(number)).give(to: context)
    }
}

private let rowNumber: @convention(c) (CursorPointer?, UnsafeMutablePointer<sqlite3_int64>?) -> Int32 = {
    pointer, result in
    run(pointer) { cursor throws(Fault) in result?.pointee = try cursor.rowNumber() }
}
