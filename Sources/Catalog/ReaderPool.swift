// The connections that read: as many as threads read at once, each used by one of them.

import EventStoreCore
import GRDB
import Synchronization

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

    /// Runs `body` in a read transaction of a connection that nobody else uses meanwhile.
    func read<T>(_ body: (CatalogReader) throws(Fault) -> T) throws(Fault) -> T {
        let connection = try take()
        defer { giveBack(connection) }
        return try faulting(path) {
            try connection.read { database in try body(CatalogReader(database)) }
        }
    }

    private func take() throws(Fault) -> DatabaseQueue {
        let (isClosed, idle) = state.withLock { state in (state.isClosed, state.idle.popLast()) }
        if isClosed { throw Fault(.invalid, "the catalog is closed", at: .init(file: path)) }
        if let idle { return idle }
        return try faulting(path) { try DatabaseQueue(path: path, configuration: CatalogConnection.reading) }
    }

    private func giveBack(_ connection: DatabaseQueue) {
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
