// Verification: is every byte of the catalog as it was written, and do its tables agree with each other?

import EventStoreCore
import GRDB
import GRDBSQLite

extension Catalog {
    /// Findings, one sentence each and never data; empty when the catalog is sound. Checks every page against
    /// its checksum, the write-ahead log, SQLite's structure (`full`: also its indexes), and what the tables
    /// say of each other. Works beside a writer. Reads the whole file once (`full`: twice).
    package func verify(full: Bool) throws(Fault) -> [String] {
        var findings: [String] = []
        if let finding = try inspectLog().finding { findings.append("\(Path.name(path))-wal: \(finding)") }
        let name = Path.name(path)
        do {
            findings += try brokenPages().map { "\(name): page \($0) does not match its checksum" }
            findings += try read { (reader) throws(Fault) in
                var checks = CatalogConsistency(reader)
                checks.structure(full: full)
                checks.tables()
                return checks.findings.map { "\(name): \($0)" }
            }
        } catch {
            // So broken that no read begins; that is a finding, not a failure to look.
            guard error.code == .damaged else { throw error }
            findings.append("\(name): \(error.message)\(error.cause.map { " (\($0))" } ?? "")")
        }
        return findings
    }

    /// Numbers of pages that do not match their checksum. A page that a frame of the log replaces does not
    /// count, as it may be half written back; nor one that is whole when looked at again.
    private func brokenPages() throws(Fault) -> [UInt32] {
        var broken = try read { (reader) throws(Fault) in try Self.brokenPages(reader.database, among: nil) }
        var attempts = 2
        while !broken.isEmpty, attempts > 0 {
            let logged = try inspectLog().pages
            broken = try read { (reader) throws(Fault) in try Self.brokenPages(reader.database, among: broken) }
            broken.removeAll { logged.contains($0) }
            attempts -= 1
        }
        return broken
    }

    /// A writer in another process may restart the log meanwhile: a suspicion is looked at again.
    private func inspectLog() throws(Fault) -> LogInspection {
        var log = try LogInspection.inspect(path + "-wal", files: files)
        var attempts = 3
        while log.isDamaged, mode == .reader, attempts > 0 {
            let again = try LogInspection.inspect(path + "-wal", files: files)
            if again == log { break }
            log = again
            attempts -= 1
        }
        return log
    }

    /// Reads pages (nil: all) through SQLite's own file handle, whose reading checks the sum.
    private static func brokenPages(_ database: Database, among pages: [UInt32]?) throws(Fault) -> [UInt32] {
        let file = try PageChecksums.openFile(of: database)
        guard let methods = file.pointee.pMethods?.pointee, let read = methods.xRead, let size = methods.xFileSize
        else { throw Fault(.io, "the catalog's file is not open") }
        var fileBytes: Int64 = 0
        let result = size(file, &fileBytes)
        guard result == SQLITE_OK else { throw .sqlite(result, "file size") }
        let pageBytes = PageChecksums.pageBytes
        // A page cut off by the file's end counts as broken too.
        let last = UInt32(clamping: (fileBytes + Int64(pageBytes) - 1) / Int64(pageBytes))
        var broken: [UInt32] = []
        withUnsafeTemporaryAllocation(byteCount: pageBytes, alignment: 8) { page in
            for number in pages ?? Array(1...max(last, 1)) {
                let offset = Int64(number - 1) * Int64(pageBytes)
                if read(file, page.baseAddress, Int32(pageBytes), offset) != SQLITE_OK { broken.append(number) }
            }
        }
        return broken
    }
}
