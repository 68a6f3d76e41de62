// A consistent copy of the catalog, made beside whatever is written meanwhile.

import EventStoreCore
import GRDB

extension Catalog {
    /// Copies the catalog as it is at one moment into a new file, page by page (SQLite's online backup interface,
    /// https://sqlite.org/backup.html). Durable when it returns, in one file without a log, so that it can be read from
    /// a medium that cannot be written.
    ///
    /// The pages come from a read transaction of a connection that only reads: commits go on meanwhile, the log is just
    /// not emptied before it ends. A file that is there already is replaced.
    package func copy(to target: String) throws(Fault) {
        for path in [target, target + "-journal", target + "-wal", target + "-shm"]
        where try files.status(path) != nil {
            try files.unlink(path)
        }
        try files.create(target).close()
        try faulting(target) {
            let queue = try DatabaseQueue(path: target, configuration: CatalogConnection.copying)
            try read { (reader) throws(Fault) in
                try faulting(path) {
                    try queue.writeWithoutTransaction { copy in try reader.database.backup(to: copy) }
                }
            }
            // The first page says "has a log", as the original's does.
            let mode = try queue.writeWithoutTransaction { copy in
                try String.fetchOne(copy, sql: "PRAGMA journal_mode = DELETE")
            }
            guard mode == "delete" else { throw Fault(.io, "the copy of the catalog keeps a log") }
            try queue.close()
        }
    }
}
