// How connections to the catalog are set up: the one that writes, and those that read.

import EventStoreCore
import GRDB
import GRDBSQLite

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

    /// Of a file that becomes a copy: what is there before it is whole is of no use to anybody.
    static var copying: Configuration {
        configured(readonly: false) { database in
            try PageChecksums.reserve(database)
            try database.execute(sql: "PRAGMA page_size = \(CatalogSchema.pageBytes)")
            try writerPragmas(database)
            try database.execute(sql: "PRAGMA journal_mode = OFF")
        }
    }

    /// Of a file that is synced when it is whole.
    static var building: Configuration {
        configured(readonly: false) { database in
            try database.execute(sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000")
            try PageChecksums.reserve(database)
            try database.execute(
                sql: """
                    PRAGMA page_size = \(CatalogSchema.pageBytes);
                    PRAGMA auto_vacuum = INCREMENTAL;
                    PRAGMA application_id = \(CatalogSchema.applicationID);
                    """)
        }
    }

    static var writing: Configuration {
        configured(readonly: false) { database in
            try writerPragmas(database)
            // An exported catalog is not in WAL mode until somebody writes to it.
            try database.execute(sql: "PRAGMA journal_mode = WAL")
        }
    }

    /// Of a catalog that a writer was changing without a log, on its way into or out of one, when it was cut short: to
    /// read anything is to roll that change back.
    static var rollingBack: Configuration { configured(readonly: false) { _ in } }

    static var reading: Configuration {
        configured(readonly: true) { database in
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
    }

    /// Empties the log without waiting for readers. What a crash left behind the last commit goes with it, so
    /// that `LogInspection` never takes it for a part of what is written next.
    static func emptyLog(_ database: Database) throws {
        try database.execute(sql: "PRAGMA busy_timeout = 0")
        _ = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
        try database.execute(sql: "PRAGMA busy_timeout = \(busyTimeoutMs)")
    }

    private static let busyTimeoutMs = 5000

    private static func writerPragmas(_ database: Database) throws {
        // `fullfsync` makes a sync on macOS reach the medium; elsewhere it changes nothing.
        // `secure_delete = FAST` zeroes what it can without more writing; what is deleted is sealed anyway.
        try database.execute(
            sql: """
                PRAGMA synchronous = FULL;
                PRAGMA fullfsync = ON;
                PRAGMA checkpoint_fullfsync = ON;
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
        configuration.busyMode = .timeout(Double(busyTimeoutMs) / 1000)
        configuration.label = readonly ? "eventstore.catalog.reader" : "eventstore.catalog.writer"
        configuration.prepareDatabase { database in
            try PageChecksums.protect(database)
            try database.execute(sql: "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY")
            try prepare(database)
        }
        return configuration
    }

    /// Throws what the operating system says about opening the file, before SQLite hides it.
    static func checkAccess(_ path: String, writing: Bool, _ files: any FileSystem) throws(Fault) {
        guard files.isSystem, access(path, writing ? R_OK | W_OK : R_OK) != 0 else { return }
        throw .system("open", errno: errno, file: path)
    }
}
