// How connections to the catalog are set up: the one that writes, and those that read.

import EventStoreCore
import GRDB
import GRDBSQLite
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

enum CatalogConnection {
    /// Pages in the WAL before the writer writes them back: 16 MiB.
    static let checkpointPages = 4000

    static var creating: Configuration {
        configured(readonly: false) { database in
            try PageChecksums.reserve(database)
            try database.execute(
                sql: """
                    PRAGMA page_size = \(CatalogSchema.pageBytes);
                    PRAGMA auto_vacuum = INCREMENTAL;
                    PRAGMA application_id = \(CatalogSchema.applicationID);
                    """)
            try writerPragmas(database)
        }
    }

    static var writing: Configuration {
        configured(readonly: false) { database in
            try writerPragmas(database)
            // An exported catalog is not in WAL mode until somebody writes to it.
            try database.execute(sql: "PRAGMA journal_mode = WAL")
        }
    }

    static var reading: Configuration {
        configured(readonly: true) { database in
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
    }

    private static func writerPragmas(_ database: Database) throws {
        // `secure_delete = FAST` zeroes what it can without more writing; what is deleted is sealed anyway.
        try database.execute(
            sql: """
                PRAGMA synchronous = FULL;
                PRAGMA wal_autocheckpoint = \(checkpointPages);
                PRAGMA journal_size_limit = \(64 << 20);
                PRAGMA secure_delete = FAST;
                PRAGMA cache_size = -8000;
                """)
    }

    private static func configured(
        readonly: Bool, _ prepare: @escaping @Sendable (Database) throws -> Void
    ) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = readonly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        configuration.label = readonly ? "eventstore.catalog.reader" : "eventstore.catalog.writer"
        configuration.prepareDatabase { database in
            try PageChecksums.protect(database)
            try database.execute(sql: "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY")
            try prepare(database)
        }
        return configuration
    }

    /// Throws what the operating system says about opening the file, before SQLite hides it.
    static func checkAccess(_ path: String, writing: Bool) throws(Fault) {
        guard access(path, writing ? R_OK | W_OK : R_OK) != 0 else { return }
        throw .system("open", errno: errno, file: path)
    }
}

/// Read-only connections, made when needed and kept for the next read.
final class ReaderPool: Sendable {
    private struct State {
        var idle: [DatabaseQueue] = []
        var isClosed = false
    }

    private static let idleMax = 8
    private let path: String
    private let state = Mutex(State())

    init(path: String) { self.path = path }

    func take() throws(Fault) -> DatabaseQueue {
        let (isClosed, idle) = state.withLock { state in (state.isClosed, state.idle.popLast()) }
        if isClosed { throw Fault(.invalid, "the catalog is closed", at: .init(file: path)) }
        if let idle { return idle }
        return try faulting(path) { try DatabaseQueue(path: path, configuration: CatalogConnection.reading) }
    }

    func giveBack(_ connection: DatabaseQueue) {
        let kept = state.withLock { state in
            guard !state.isClosed, state.idle.count < Self.idleMax else { return false }
            state.idle.append(connection)
            return true
        }
        if !kept { try? connection.close() }
    }

    func close() {
        state.withLock { state in state.isClosed = true }
        closeIdle()
    }

    func closeIdle() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for connection in idle { try? connection.close() }
    }
}
