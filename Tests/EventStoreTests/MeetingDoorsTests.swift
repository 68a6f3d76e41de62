// The doors of a store that several features share: operations on a store that is an export, exports by readers, and
// imports that another process carries out.

import EventStoreCore
import Foundation
import Testing

@testable import EventStore

/// The program as a process of its own.
struct Program {
    let folder: TestFolder
    let path: String
    private let key: String

    /// `nil` where the program was not built with the tests.
    init?(_ folder: TestFolder) throws {
        path = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/eventstore"
        guard FileManager.default.isExecutableFile(atPath: path) else { return nil }
        self.folder = folder
        key = try folder.write("program.key", [UInt8](repeating: 7, count: 32))
        chmod(key, 0o600)
    }

    struct End {
        var code: Int32
        var output: String
        var errors: String
    }

    func run(_ arguments: [String], key: String? = nil, in directory: String? = nil, input: String? = nil) throws -> End
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments + ["--key-file", key ?? self.key]
        process.currentDirectoryURL = URL(fileURLWithPath: directory ?? folder.path)
        let place = folder.path + "/run-" + UUID().uuidString
        for name in ["out", "err", "in"] {
            _ = FileManager.default.createFile(
                atPath: place + name, contents: name == "in" ? Data((input ?? "").utf8) : Data())
        }
        process.standardOutput = FileHandle(forWritingAtPath: place + "out")
        process.standardError = FileHandle(forWritingAtPath: place + "err")
        process.standardInput = FileHandle(forReadingAtPath: place + "in")
        try process.run()
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            String(decoding: try TestFolder.bytes(place + name), as: UTF8.self)
        }
        return End(code: process.terminationStatus, output: try text("out"), errors: try text("err"))
    }
}

@Suite(.serialized) struct MeetingDoorsTests {
    // MARK: A store that is an export

    /// One of each case; whoever adds one is reminded here.
    private static func operations(_ folder: TestFolder, _ export: BlockingEventStore) throws -> [StoreOperation] {
        let file = try folder.write("events.ndjson", "{}\n")
        let record = ExportRecord(format: .csv, filter: ExportManifest.Filter(EventFilter()), events: 3)
        let slot = try export.engine.context.keyring.prepareSlot(try Keys.third.secret(Environment()))
        let keys: [KeyOperation] = [
            .apply(PreparedKeys(content: .slot(slot))), .removeSlot(id: "0000000000000001"),
            .rotateEntities(names: nil, now: false), .rotateEntities(names: nil, now: true),
            .backUp(path: folder.path + "/copy"), .setBackupPath(folder.path + "/copy"), .setBackupPath(nil),
        ]
        let all: [StoreOperation] = [
            .addEntity(name: "x", plan: nil, days: nil, reason: nil),
            .setEntityPlan(name: "one", plan: "starter", days: nil, reason: nil),
            .renameEntity(name: "one", to: "uno", reason: nil), .suspendEntity(name: "one", reason: nil),
            .resumeEntity(name: "one", reason: nil), .cancelEntity(name: "one", eraseAfterMs: 0, reason: nil),
            .eraseEntity(name: "one", reason: nil), .setPlan(Plan(name: "p", days: 3)),
            .sweep(dryRun: true, confirmed: false), .sweep(dryRun: false, confirmed: true), .setPolicy(json: "{}"),
            .setBudget(BudgetChange(eventsPerDay: 1)), .compact, .flush,
            .backup(directory: folder.path + "/backup", options: BackupOptions()), .recordExport(record),
            .importEvents(ImportRequest(sources: [file])),
        ]
        for operation in all {
            switch operation {
            case .addEntity, .setEntityPlan, .renameEntity, .suspendEntity, .resumeEntity, .cancelEntity, .eraseEntity,
                .setPlan, .sweep, .setPolicy, .setBudget, .compact, .flush, .keys, .backup, .recordExport,
                .importEvents:
                continue
            }
        }
        for key in keys {
            switch key {
            case .apply, .removeSlot, .rotateEntities, .backUp, .setBackupPath: continue
            }
        }
        return all + keys.map { .keys($0) }
    }

    private static func frozen(_ folder: TestFolder) throws -> (path: String, events: [Event]) {
        let source = try RotatedKeysTests.rotated(folder)
        let path = folder.path + "/export"
        try source.export(StoreExportTests.request(path))
        let events = try source.all()
        try source.close()
        return (path, events)
    }

    private static func content(_ path: String) throws -> [String: [UInt8]] {
        var content: [String: [UInt8]] = [:]
        for file in TestFolder.files(below: path) { content[file] = try TestFolder.bytes(path + "/" + file) }
        return content
    }

    @Test func anExportRefusesEveryOperation() throws {
        let folder = TestFolder()
        let (path, events) = try Self.frozen(folder)
        let before = try Self.content(path)
        let export = try StoreExportTests.open(path)
        for operation in try Self.operations(folder, export) {
            let outcome = code {
                try StoreAdministration.perform(operation, at: path, key: Fixed.otherKey, options: Fixed.open())
            }
            #expect(outcome == "read-only", "\(operation)")
            #expect(code { try export.perform(operation) } == "read-only", "\(operation)")
        }
        for dryRun in [true, false] {
            let repair = code {
                try StoreAdministration.repair(
                    at: path, key: Fixed.otherKey, options: Fixed.open(), dryRun: dryRun)
            }
            #expect(repair == "read-only")
        }
        #expect(code { try StoreAdministration.upgrade(at: path, key: Fixed.otherKey) } == "read-only")
        #expect(try export.all() == events)
        try export.close()
        #expect(try Self.content(path) == before)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/backup"))
    }

    /// A record that cannot be kept anywhere is none to miss.
    @Test func anExportIsExportedWithoutAWord() throws {
        let folder = TestFolder()
        let (path, events) = try Self.frozen(folder)
        let before = try Self.content(path)
        let export = try StoreExportTests.open(path)
        for format in ExportRequest.Format.allCases {
            var request = ExportRequest(format: format, to: .path(folder.path + "/again." + format.rawValue))
            if format == .store { request.recipientKey = Keys.third }
            request.recorder = { _ in Issue.record("nobody can keep this record") }
            #expect(try export.export(request).events == events.count)
        }
        try export.close()
        #expect(try Self.content(path) == before)
        guard let program = try Program(folder) else { return }
        let key = try folder.write("other.key", [UInt8](repeating: 8, count: 32))
        chmod(key, 0o600)
        for format in ["ndjson", "csv", "parquet", "sqlite", "store"] {
            let end = try program.run(
                ["export", path, "--to", folder.path + "/cli." + format, "--format", format, "--quiet"], key: key)
            #expect(end.code == 0 && end.errors.isEmpty, "\(format): \(end.errors)")
            #expect(end.output.contains("\"events\":\(events.count)"))
        }
        #expect(try Self.content(path) == before)
    }

    // MARK: Exports by readers

    @Test(arguments: [true, false]) func everyExportOfTheProgramIsRecorded(_ isBesideWriter: Bool) throws {
        let folder = TestFolder()
        guard let program = try Program(folder) else { return }
        let store = try RotatedKeysTests.rotated(folder)
        let count = try store.all().count
        if !isBesideWriter { try store.close() }
        for format in ["ndjson", "csv", "parquet", "sqlite", "store"] {
            let end = try program.run(
                ["export", folder.store, "--to", folder.path + "/out." + format, "--format", format, "--quiet"])
            #expect(end.code == 0 && end.errors.isEmpty, "\(format): \(end.errors)")
        }
        for format in ["ndjson", "csv"] {
            let end = try program.run(
                ["export", folder.store, "--to", "-", "--format", format, "--entity", "two", "--quiet"])
            #expect(end.code == 0 && end.errors.isEmpty && !end.output.isEmpty, "\(format): \(end.errors)")
        }
        let again = isBesideWriter ? store : try folder.open()
        let records = try again.auditRecords().filter { $0.operation == "export" }
        #expect(
            records.compactMap { $0.details["format"] } == [
                "ndjson", "csv", "parquet", "sqlite", "store", "ndjson", "csv",
            ])
        #expect(records.prefix(5).allSatisfy { $0.details["events"] == "\(count)" && $0.entity == nil })
        #expect(records.suffix(2).allSatisfy { $0.details["events"] == nil && $0.entity != nil })
        #expect(try again.verifyAudit().firstBroken == nil)
        try again.close()
    }

    @Test func aStreamCutShortWasRecordedAndAFileWasNot() throws {
        let folder = TestFolder()
        let store = try RotatedKeysTests.rotated(folder)
        struct Cut: Error {}
        for format in [ExportRequest.Format.ndjson, .csv] {
            #expect(throws: (any Error).self) {
                try store.export(ExportRequest(format: format, to: .stream { _ in throw Cut() }))
            }
            var request = ExportRequest(format: format, to: .path(folder.path + "/cut"))
            request.isCancelled = { true }
            #expect(code { try store.export(request) } == "cancelled")
        }
        #expect(try store.auditRecords().count { $0.operation == "export" } == 2)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/cut"))
        try store.close()
    }

    @Test func whatCannotBeRecordedIsNotExported() throws {
        let folder = TestFolder()
        let store = try RotatedKeysTests.rotated(folder)
        let reader = try folder.open(Fixed.open(.readOnly))
        struct No: Error {}
        for format in ExportRequest.Format.allCases {
            var request = ExportRequest(format: format, to: .path(folder.path + "/none"))
            if format == .store { request.recipientKey = Fixed.otherKey }
            request.recorder = { _ in throw No() }
            #expect(code { try reader.export(request) } == "io", "\(format)")
            #expect(!TestFolder.files(below: folder.path).contains { $0.hasPrefix("none") }, "\(format)")
        }
        try reader.close()
        try store.close()
    }

    // MARK: Imports that the holder carries out

    @Test func aStoreIsImportedBesideAWriter() throws {
        let folder = TestFolder()
        let (path, events) = try Self.frozen(folder)
        guard let program = try Program(folder) else { return }
        let other = TestFolder()
        let holder = try other.create()
        let key = try folder.write("other.key", [UInt8](repeating: 8, count: 32))
        chmod(key, 0o600)
        // Names of files as the asking process has them; the holder is elsewhere.
        let end = try program.run(["import", other.store, "export/", "--source-key-file", "other.key", "--quiet"])
        #expect(end.code == 0 && end.output.contains("\"stored\":\(events.count)"), "\(end)")
        #expect(Set(try holder.all().map(\.plain)) == Set(events.map(\.plain)))
        // Without a name the key beside the export is the one.
        #expect(try program.run(["import", other.store, "export", "--quiet"]).errors.contains("error[not-found]"))
        try FileManager.default.copyItem(atPath: key, toPath: path + ".key")
        let again = try program.run(["import", other.store, "export", "--quiet", "--strict"])
        #expect(again.code == 0 && again.output.contains("\"duplicates\":\(events.count)"), "\(again)")
        // A wrong one is told as such.
        let wrong = try program.run(["import", other.store, path, "--source-key-file", "program.key", "--quiet"])
        #expect(wrong.code == 1 && wrong.errors.contains("error[wrong-key]"), "\(wrong)")
        let stream = try program.run(
            ["import", other.store, "-", "--quiet"],
            input: #"{"entity":"s","type":"t","timestamp":\#(Fixed.day),"attributes":{}}"# + "\n")
        #expect(stream.code == 0 && stream.output.contains("\"stored\":1"), "\(stream)")
        // Of its own files the holder imports nothing twice, and does not lock itself out.
        let own = try program.run(["import", other.store, other.store, "--source-key-file", "program.key", "--quiet"])
        #expect(own.output.contains("\"duplicates\":\(events.count + 1)"), "\(own)")
        try holder.expectClean()
        try holder.close()
    }

    @Test func aKeyThatIsNoFileStaysInItsProcess() throws {
        var request = ImportRequest(sources: ["x"])
        for key in [Fixed.otherKey, .passphrase(Array("secret words".utf8)), .environment("K"), .command("cat k")] {
            request.sourceKey = key
            let sent = try JSONDecoder().decode(ImportRequest.self, from: JSONEncoder().encode(request))
            #expect(sent.sourceKey == nil)
            let folder = TestFolder()
            let holder = try folder.create()
            let outcome = code {
                try StoreAdministration.perform(
                    .importEvents(request), at: folder.store, key: Fixed.key, options: Fixed.open())
            }
            #expect(outcome == "invalid")
            try holder.close()
        }
        request.sourceKey = .keyFile("/k")
        let sent = try JSONDecoder().decode(ImportRequest.self, from: JSONEncoder().encode(request))
        guard case .keyFile("/k")? = sent.sourceKey else {
            Issue.record("the name of a key file goes along")
            return
        }
    }
}
