// The catalog of a store: one SQLite file that says what exists.
//
// Exactly one connection of one process writes and checkpoints (SQLite 3.7.0 to 3.51.2 can corrupt a WAL
// when two connections checkpoint and write together); all reading goes through read-only connections that
// never checkpoint. That only one process opens a catalog as writer is the business of the store's lock.

import EventStoreCore
import GRDB

package final class Catalog: Sendable {
    package enum Mode: Sendable {
        case writer
        case reader
    }

    package let path: String
    package let mode: Mode
    let files: any FileSystem
    private let writer: DatabaseQueue?
    private let readers: ReaderPool

    private init(
        path: String, mode: Mode, files: any FileSystem, writer: DatabaseQueue?, readers: ReaderPool
    ) {
        self.path = path
        self.mode = mode
        self.files = files
        self.writer = writer
        self.readers = readers
    }

    deinit { close() }

    // MARK: Opening

    /// Makes an empty catalog in a file that must not exist yet, durably, and closes it.
    package static func create(
        path: String, settings: CatalogSettings, files: any FileSystem = PosixFileSystem()
    ) throws(Fault) {
        let files = files.ofSQLite
        let handle = try files.create(path)
        handle.close()
        try faulting(path) {
            let queue = try DatabaseQueue(path: path, configuration: CatalogConnection.creating)
            try queue.writeWithoutTransaction { database in
                try database.inTransaction(.immediate) {
                    try CatalogWriter(database).create(settings)
                    return .commit
                }
                try database.execute(sql: "PRAGMA journal_mode = WAL")
            }
            try queue.close()
        }
        try files.syncDirectory(Path.parent(path))
    }

    /// Opens an existing catalog and reads nothing but its settings.
    package static func open(
        path: String, mode: Mode, files: any FileSystem = PosixFileSystem()
    ) throws(Fault) -> Catalog {
        let files = files.ofSQLite
        guard let status = try files.status(path) else {
            throw Fault(.notFound, "there is no catalog here", at: .init(file: path))
        }
        guard status.size > 0 else {
            throw Fault(.damaged, "the catalog is empty", at: .init(file: path))
        }
        // Tells "no permission" from "cannot be opened", which SQLite does not.
        try CatalogConnection.checkAccess(path, writing: mode == .writer, files)
        if mode == .writer { try rollBack(path, files) }
        let readers = ReaderPool(path: path)
        do throws(Fault) {
            // Before anything is written: a catalog of a newer format is not touched.
            let version = try readers.read { (reader) throws(Fault) in try reader.settings().formatVersion }
            guard mode == .reader || version == CatalogSchema.formatVersion else {
                throw Fault(
                    .readOnly,
                    "the store has format \(version): it can be read as it is; to write to it, run `upgrade` once",
                    at: .init(file: path))
            }
            let writer = mode == .writer ? try openWriter(path, files) : nil
            return Catalog(path: path, mode: mode, files: files, writer: writer, readers: readers)
        } catch {
            readers.close()
            throw error
        }
    }

    /// The format this program writes.
    package static var formatVersion: Int { CatalogSchema.formatVersion }

    /// Brings a catalog of an earlier format to the present one, in one transaction, and returns the version it had.
    /// Only the holder of the store's lock may call this.
    ///
    /// - Parameter record: the audit record of it, that follows the given one; part of the transaction.
    package static func upgrade(
        path: String, files: any FileSystem = PosixFileSystem(),
        record: @escaping (_ from: Int, _ last: AuditRow?) throws(Fault) -> AuditRow
    ) throws(Fault) -> Int { try upgrade(path: path, files: files, record: record, preparing: { _ in }) }

    /// - Parameter prepare: what is done with the connection before the transaction; for tests of failures.
    static func upgrade(
        path: String, files: any FileSystem = PosixFileSystem(),
        record: ((_ from: Int, _ last: AuditRow?) throws(Fault) -> AuditRow)? = nil,
        preparing prepare: (Database) throws -> Void = { _ in }
    ) throws(Fault) -> Int {
        let files = files.ofSQLite
        try CatalogConnection.checkAccess(path, writing: true, files)
        try rollBack(path, files)
        let readers = ReaderPool(path: path)
        defer { readers.close() }
        let version = try readers.read { (reader) throws(Fault) in try reader.settings().formatVersion }
        readers.closeIdle()
        guard version < CatalogSchema.formatVersion else { return version }
        let queue = try openWriter(path, files)
        try faulting(path) {
            try queue.writeWithoutTransaction { database in
                try prepare(database)
                try database.inTransaction(.immediate) {
                    let writer = CatalogWriter(database)
                    try writer.upgrade(from: version)
                    if let record {
                        try writer.addAudit([try record(version, try CatalogReader(database).lastAudit())])
                    }
                    return .commit
                }
            }
            try queue.close()
        }
        return version
    }

    /// A change of the journal mode that was cut short left a rollback journal, and connections that only read can do
    /// nothing with it.
    private static func rollBack(_ path: String, _ files: any FileSystem) throws(Fault) {
        guard let journal = try files.status(path + "-journal"), journal.size > 0 else { return }
        try faulting(path) {
            let queue = try DatabaseQueue(path: path, configuration: CatalogConnection.rollingBack)
            _ = try queue.writeWithoutTransaction { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") }
            try queue.close()
        }
    }

    private static func openWriter(_ path: String, _ files: any FileSystem) throws(Fault) -> DatabaseQueue {
        let log = try LogInspection.inspect(path + "-wal", files: files)
        if let finding = log.finding {
            throw Fault(
                .damaged, "\(finding); nothing was changed: open for reading to save what is left, or restore a backup",
                at: .init(file: path + "-wal"))
        }
        return try faulting(path) {
            let queue = try DatabaseQueue(path: path, configuration: CatalogConnection.writing)
            if !log.isEmpty { try queue.writeWithoutTransaction(CatalogConnection.emptyLog) }
            return queue
        }
    }

    /// Closes every connection; in the writer this writes the WAL back unless another process reads.
    /// Later calls throw. Reads in progress finish first.
    package func close() {
        readers.close()
        if let writer { try? writer.close() }
    }

    // MARK: Writing

    /// Applies a change as one transaction, durable when it returns. After a fault nothing of it happened;
    /// after one with `isSyncFailure` that is not certain, and the store must not be written any more.
    package func commit(_ change: CatalogChange) throws(Fault) -> CatalogCommit {
        try write { (database) throws in
            var result = CatalogCommit(segments: [])
            try database.inTransaction(.immediate) {
                result = try CatalogWriter(database).apply(change)
                return .commit
            }
            return result
        }
    }

    /// Writes the WAL back into the catalog file and empties it, as far as readers allow: false when a
    /// reader still needs a part of it.
    @discardableResult
    package func checkpointAndTruncate() throws(Fault) -> Bool {
        try write { (database) throws in
            try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)").map { $0[0] == 0 } ?? true
        }
    }

    /// Gives free pages back to the file system, at most `limit` of them (nil: all), and returns how many.
    @discardableResult
    package func vacuumFreePages(limit: Int? = nil) throws(Fault) -> Int {
        try write { (database) throws in
            let before = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
            // Each step of this pragma moves one page: it must be stepped to its end.
            _ = try Row.fetchAll(database, sql: "PRAGMA incremental_vacuum(\(limit ?? 0))")
            return before - (try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0)
        }
    }

    /// Writes the log back and leaves WAL mode, so that the one file can be read from a medium that cannot be
    /// written. The next writer enters WAL mode again. Throws `locked` while anything reads.
    package func leaveLogMode() throws(Fault) {
        readers.closeIdle()
        let mode = try write { (database) throws in
            try String.fetchOne(database, sql: "PRAGMA journal_mode = DELETE")
        }
        guard mode == "delete" else {
            throw Fault(.locked, "the catalog is being read; its log cannot be removed", at: .init(file: path))
        }
    }

    func write<T>(_ body: (Database) throws -> T) throws(Fault) -> T {
        guard let writer else {
            throw Fault(.readOnly, "the catalog is open for reading only", at: .init(file: path))
        }
        return try faulting(path) { try writer.writeWithoutTransaction(body) }
    }

    // MARK: Reading

    /// Runs `body` in one read transaction: all it reads belongs to one moment. The reader must not be
    /// kept after `body` returns. Any number of threads may read at once.
    package func read<T>(_ body: (CatalogReader) throws(Fault) -> T) throws(Fault) -> T {
        try readers.read(body)
    }
}
