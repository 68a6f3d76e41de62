// Builds the catalog of an export: filled once, then only read. It never has a log, so that the finished file can be
// read from a medium that cannot be written.

import EventStoreCore
import GRDB

/// A catalog being built by one thread at a time. Until `finish` returns, the file is of no use to anybody.
///
/// `@unchecked Sendable`: its caller sees to it that one thread uses it at a time.
package final class CatalogBuilder: @unchecked Sendable {
    private let path: String
    private let queue: DatabaseQueue

    /// Makes a new file.
    package init(path: String, settings: CatalogSettings) throws(Fault) {
        self.path = path
        try PosixFileSystem().create(path).close()
        queue = try faulting(path) {
            let queue = try DatabaseQueue(path: path, configuration: CatalogConnection.building)
            try queue.writeWithoutTransaction { database in
                try database.inTransaction(.immediate) {
                    try CatalogWriter(database).create(settings)
                    return .commit
                }
            }
            return queue
        }
    }

    /// As a commit of a store's catalog, but not durable yet.
    package func add(_ change: CatalogChange) throws(Fault) {
        try faulting(path) {
            try queue.writeWithoutTransaction { database in
                try database.inTransaction(.immediate) {
                    _ = try CatalogWriter(database).apply(change)
                    return .commit
                }
            }
        }
    }

    /// Closes the file. The caller syncs it.
    package func finish() throws(Fault) { try faulting(path) { try queue.close() } }

    /// Gives the file up.
    package func abandon() { try? queue.close() }
}
