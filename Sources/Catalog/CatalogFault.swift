// SQLite's result codes as faults of the store.

import EventStoreCore
import GRDB
import GRDBSQLite

extension Fault {
    /// The fault an SQLite result code stands for. The code goes into `cause` as "SQLite N: text".
    static func sqlite(_ result: Int32, _ text: String, file: String? = nil) -> Fault {
        var fault = Fault(code(ofResult: result), sentence(ofResult: result), at: Place(file: file))
        fault.cause = "SQLite \(result): \(text)"
        return fault
    }

    /// True when the catalog could not make a commit durable because a sync failed: what was written
    /// since the last success may or may not be on disk, and trying again proves nothing.
    package var isSyncFailure: Bool {
        guard code == .io, let cause else { return false }
        return cause.hasPrefix("SQLite \(SyncResult.file):") || cause.hasPrefix("SQLite \(SyncResult.directory):")
    }

    static func code(ofResult result: Int32) -> Code {
        if result == checksumResult { return .damaged }
        switch result & 0xff {
        case SQLITE_FULL: return .diskFull
        case SQLITE_NOTADB, SQLITE_CORRUPT, SQLITE_FORMAT: return .damaged
        case SQLITE_ERROR, SQLITE_MISMATCH, SQLITE_SCHEMA, SQLITE_RANGE, SQLITE_TOOBIG: return .damaged
        case SQLITE_READONLY: return .readOnly
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_PROTOCOL: return .locked
        // That the file exists was seen before SQLite opened it.
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH: return .permission
        case SQLITE_MISUSE: return .invalid
        case SQLITE_CONSTRAINT: return .exists
        case SQLITE_INTERRUPT, SQLITE_ABORT: return .cancelled
        case SQLITE_NOMEM: return .limit
        default: return .io
        }
    }

    private static func sentence(ofResult result: Int32) -> String {
        if result == checksumResult {
            return "a page of the catalog does not match its checksum; run verify, then restore from a backup"
        }
        if result == rollbackResult {
            return "a writer was cut short: open the store for writing once, then it can be read again"
        }
        switch code(ofResult: result) {
        case .diskFull: return "the disk is full; nothing of this change was stored"
        case .damaged: return "the catalog does not decode; run verify, then restore from a backup"
        case .readOnly: return "the catalog may only be read here"
        case .locked: return "another process holds the catalog; try again"
        case .permission: return "the catalog or its log may not be opened by this user, or its folder not be written"
        case .invalid: return "the catalog is closed"
        case .exists: return "a number or tag is already taken in the catalog"
        case .cancelled: return "the operation on the catalog was cancelled"
        case .limit: return "not enough memory for the catalog"
        default: return "the catalog could not be read or written"
        }
    }

    /// SQLITE_IOERR_DATA: what a page with a wrong checksum is reported as.
    static let checksumResult: Int32 = SQLITE_IOERR | (32 << 8)

    /// SQLITE_READONLY_ROLLBACK: there is a rollback journal, and who only reads cannot use it.
    private static let rollbackResult: Int32 = SQLITE_READONLY | (3 << 8)

    private enum SyncResult {
        static let file: Int32 = SQLITE_IOERR | (4 << 8)
        static let directory: Int32 = SQLITE_IOERR | (5 << 8)
    }
}

/// Runs `body`, turning whatever GRDB throws into a fault that names `file`.
func faulting<T>(_ file: String, _ body: () throws -> T) throws(Fault) -> T {
    do {
        return try body()
    } catch let fault as Fault {
        throw fault.at(file: file)
    } catch let error as DatabaseError {
        throw .sqlite(error.extendedResultCode.rawValue, error.message ?? "", file: file)
    } catch {
        throw Fault(.io, "the catalog could not be read or written", at: .init(file: file), cause: error)
    }
}
