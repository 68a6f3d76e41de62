// Exports in the audit chain, whoever does them: the holder, a reader beside it, a reader of a store nobody writes to.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct ExportAuditTests {
    private static func request(_ folder: TestFolder, _ name: String) -> ExportRequest {
        var request = ExportRequest(format: .ndjson, to: .path(folder.path + "/" + name))
        let store = folder.store
        request.recorder = { record in
            _ = try StoreAdministration.perform(
                .recordExport(record), at: store, key: Fixed.key, options: Fixed.open())
        }
        return request
    }

    private static func filled(_ folder: TestFolder) throws -> BlockingEventStore {
        let store = try folder.create()
        try store.append((0..<20).map { Known.event($0) })
        return store
    }

    private static func exports(_ folder: TestFolder) throws -> [AuditRecord] {
        let reader = try folder.open(Fixed.open(.readOnly))
        defer { try? reader.close() }
        #expect(try reader.verifyAudit().firstBroken == nil)
        return try reader.auditRecords(after: 0).filter { $0.operation == "export" }
    }

    @Test(arguments: [true, false]) func aReaderHasItRecorded(_ besideWriter: Bool) throws {
        let folder = TestFolder()
        let writer = try Self.filled(folder)
        if !besideWriter { try writer.close() }
        let reader = try folder.open(Fixed.open(.readOnly))
        let report = try reader.export(Self.request(folder, "out.ndjson"))
        try reader.close()
        let record = try #require(try Self.exports(folder).last)
        #expect(record.details["events"] == "\(report.events)" && record.details["format"] == "ndjson")
        if besideWriter { try writer.close() }
    }

    @Test func aStreamIsRecordedBeforeItsFirstByte() throws {
        let folder = TestFolder()
        try Self.filled(folder).close()
        let reader = try folder.open(Fixed.open(.readOnly))
        var request = Self.request(folder, "")
        let seen = Mutex(-1)
        request.destination = .stream { _ in
            let count = try Self.exports(folder).count
            seen.withLock { if $0 < 0 { $0 = count } }
        }
        try reader.export(request)
        #expect(seen.withLock { $0 } == 1)
        try reader.close()
        let records = try Self.exports(folder)
        #expect(records.count == 1 && records[0].details["events"] == nil)
    }

    @Test func whatCannotBeRecordedIsNotExported() throws {
        let folder = TestFolder()
        try Self.filled(folder).close()
        let reader = try folder.open(Fixed.open(.readOnly))
        var request = Self.request(folder, "out.ndjson")
        request.recorder = { _ in throw EventStoreError(Fault(.locked, "nobody answers")) }
        #expect(code { try reader.export(request) } == "locked")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/out.ndjson"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { !$0.hasPrefix(".out") })
        try reader.close()
    }
}
