// What an export that is a store gives away and what it does not, on media that cannot be written, cut short, damaged.

import EventStoreCore
import EventStoreCrypto
import Foundation
import Testing

@testable import EventStore
@testable import EventStoreSegments

@Suite(.serialized) struct StoreExportSafetyTests {
    private static let mine = "site-0.example"

    /// Each entity's events have values of its own, values three or more share, and values all share.
    private func source(_ folder: TestFolder, entities: Int = 6, rows: Int = 40) throws -> BlockingEventStore {
        let store = try folder.create()
        var events: [Event] = []
        for entity in 0..<entities {
            for row in 0..<rows {
                // The agents that the first entity uses are shared by fewer than others, so their numbers come later.
                let agent = entity == 0 ? 3 + row % 2 : entity < 3 ? row % 5 : row % 3
                var attributes: [String: AttributeValue] = [
                    "agent": .string("shared by all \(agent)"), "own": .string("private canary of \(entity)"),
                    "group": .string(entity == 0 ? "group of the first" : "group canary \(row % 7)"),
                ]
                if entity > 0 { attributes["other.canary"] = .string("canary value \(row % 3)") }
                events.append(
                    Event(
                        entity: "site-\(entity).example", type: entity == 0 ? "mine.only" : "canary.type",
                        timestamp: Fixed.day - Int64(row % 2) * Fixed.dayMs + Int64(row),
                        id: Fixed.id(UInt64(entity * 1000 + row)), attributes: attributes))
            }
        }
        try store.append(events)
        try store.flush()
        try store.append([
            Event(
                entity: Self.mine, type: "mine.only", timestamp: Fixed.day + 7, id: Fixed.id(77),
                attributes: ["own": .string("journal")])
        ])
        return store
    }

    // MARK: What goes along

    @Test func carriesNothingOfOtherEntities() throws {
        let folder = TestFolder()
        let source = try source(folder)
        let path = folder.path + "/export"
        NonceAudit.start()
        try source.export(StoreExportTests.request(path, EventFilter(entities: [Self.mine])))
        #expect(NonceAudit.stop().repeats == 0)
        let export = try StoreExportTests.open(path)
        #expect(try export.names(of: .entity) == [Self.mine])
        #expect(try export.names(of: .type) == ["mine.only"])
        #expect(try export.names(of: .attribute) == ["agent", "group", "own"])
        let used = Set(
            try export.all().flatMap { event in
                event.attributes.values.compactMap { if case .string(let text) = $0 { text } else { nil } }
            })
        let shared = try vocabulary(export.engine)
        #expect(shared.contains("shared by all 3") && shared.contains(""), "the test would see nothing")
        #expect(shared.subtracting([""]).isSubset(of: used), "\(shared.subtracting(used))")
        try export.close()
        try source.close()
    }

    /// All values that stand in the vocabularies of a store's segments.
    private func vocabulary(_ engine: StoreEngine) throws -> Set<String> {
        var values: Set<String> = []
        let sealer = StoreSealer(engine.context.names)
        for handle in try engine.stored().segments.all {
            let reader = try engine.context.segmentFiles.reader(handle)
            for place in try reader.directory(sealer).vocabularyPlaces {
                let column = try #require(try reader.vocabularyColumn(place.attribute, sealer))
                for index in 0..<column.count {
                    values.insert(String(decoding: column.entries[index].bytes, as: UTF8.self))
                }
            }
        }
        return values
    }

    @Test func hasKeysOfItsOwnAndShowsNoName() throws {
        let folder = TestFolder()
        let source = try source(folder)
        let path = folder.path + "/export"
        try source.export(StoreExportTests.request(path))
        let reading = Fixed.open(.readOnly)
        #expect(code { try BlockingEventStore.open(at: path, key: Fixed.key, options: reading) } == "wrong-key")
        var same = StoreExportTests.request(folder.path + "/same")
        same.recipientKey = Fixed.key
        #expect(code { try source.export(same) } == "invalid")
        same.recipientKey = nil
        #expect(code { try source.export(same) } == "invalid")
        let export = try StoreExportTests.open(path)
        let (old, new) = (try keys(source.engine), try keys(export.engine))
        #expect(old.count > 6 && new.count > 6 && old.isDisjoint(with: new))
        let needles =
            (0..<6).map { "site-\($0).example" } + ["mine.only", "canary", "other.", "private", "shared by"]
        for file in TestFolder.files(below: path) {
            let bytes = try TestFolder.bytes(path + "/" + file)
            let found = needles.filter { contains(bytes, Array($0.utf8)) }
            #expect(found.isEmpty, "in \(file)")
            let hasKey = old.contains { contains(bytes, $0) }
            #expect(!hasKey, "a key of the source in \(file)")
        }
        let ids = Set(try source.engine.stored().segments.all.map(\.info.id))
        #expect(ids.isDisjoint(with: try export.engine.stored().segments.all.map(\.info.id)))
        try export.close()
        try source.close()
    }

    private func keys(_ engine: StoreEngine) throws -> Set<[UInt8]> {
        let ring = engine.context.keyring
        var keys = try ring.entityKeyIDs().map { try ring.entityKey($0).withUnsafeBytes { Array($0) } }
        keys += KeyPurpose.allCases.map { ring.subkey($0).withUnsafeBytes { Array($0) } }
        return Set(keys)
    }

    private func contains(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        Data(bytes).range(of: Data(needle)) != nil
    }

    // MARK: Only to be read

    @Test func refusesEveryChange() throws {
        let folder = TestFolder()
        let source = try source(folder)
        let path = folder.path + "/export"
        try source.export(StoreExportTests.request(path))
        try source.close()
        let before = state(path)
        #expect(code { try StoreExportTests.open(path, Fixed.open()) } == "read-only")
        #expect(code { try StoreAdministration.upgrade(at: path, key: Fixed.otherKey) } == "read-only")
        let operations: [StoreOperation] = [
            .addEntity(name: "x", plan: nil, days: nil, reason: nil), .eraseEntity(name: Self.mine, reason: nil),
            .suspendEntity(name: Self.mine, reason: nil), .setPlan(Plan(name: "p", days: 3)), .compact, .flush,
            .sweep(dryRun: false, confirmed: true), .setPolicy(json: "{}"),
            .backup(directory: folder.path + "/backup", options: BackupOptions()),
        ]
        let export = try StoreExportTests.open(path)
        for operation in operations {
            #expect(
                code { try StoreAdministration.perform(operation, at: path, key: Fixed.otherKey) } == "read-only",
                "\(operation)")
            #expect(code { try export.perform(operation) } == "read-only", "\(operation)")
        }
        let event = Event(entity: Self.mine, type: "t", timestamp: Fixed.day, id: Fixed.id(1), attributes: [:])
        #expect(code { try export.append([event]) } == "read-only")
        let file = try folder.write("a.ndjson", "{}\n")
        #expect(code { try export.importEvents(ImportRequest(sources: [file])) } == "read-only")
        try export.close()
        #expect(state(path) == before)
    }

    /// Names, sizes and times of change of all that is in a directory, itself included.
    private func state(_ path: String) -> [String] {
        let all = (FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []) + [""]
        return all.sorted().map { name in
            let found = try? FileManager.default.attributesOfItem(atPath: path + "/" + name)
            let changed = (found?[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            return "\(name) \(found?[.size] ?? 0) \(changed)"
        }
    }

    /// As any user but root the system itself refuses writing; as root what is there must not change.
    @Test func isReadFromMediaThatCannotBeWritten() throws {
        let folder = TestFolder()
        let source = try source(folder)
        let path = folder.path + "/export"
        try source.export(StoreExportTests.request(path))
        let wanted = try source.all()
        try source.close()
        setModes(path, directories: 0o500, files: 0o400)
        defer { setModes(path, directories: 0o700, files: 0o600) }
        let before = state(path)
        var environment = StoreEngine.environment(Fixed.open(.readOnly))
        environment.files = UnwritableFiles()
        let engine = try StoreEngine.open(
            at: path, key: Fixed.otherKey, open: Fixed.open(.readOnly), environment: environment)
        let export = BlockingEventStore(store: EventStore(engine: engine))
        #expect(try export.all() == wanted)
        #expect(try export.one("SELECT count(*) FROM events WHERE agent = 'shared by all 2'") == 55)
        try export.expectClean()
        try export.close()
        #expect(state(path) == before)
        #expect(code { try StoreExportTests.open(path, Fixed.open()) } == "read-only")
        #expect(state(path) == before)
        let header = try TestFolder.bytes(path + "/catalog.db")
        #expect(header[18] == 1 && header[19] == 1, "the catalog is in log mode")
    }

    private func setModes(_ path: String, directories: Int, files: Int) {
        let manager = FileManager.default
        if directories == 0o700 { try? manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path) }
        for name in [""] + (manager.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []) {
            var isDirectory: ObjCBool = false
            _ = manager.fileExists(atPath: path + "/" + name, isDirectory: &isDirectory)
            let mode = isDirectory.boolValue ? directories : files
            try? manager.setAttributes([.posixPermissions: mode], ofItemAtPath: path + "/" + name)
        }
    }

    // MARK: Cut short

    @Test(arguments: [Fault.Code.io, .diskFull]) func leavesNothingWhenAWriteFails(_ failure: Fault.Code) throws {
        let folder = TestFolder()
        try source(folder, entities: 3, rows: 12).close()
        let faulty = FaultyFiles()
        var environment = StoreEngine.environment(Fixed.open(.readOnly))
        environment.files = faulty
        let engine = try StoreEngine.open(
            at: folder.store, key: Fixed.key, open: Fixed.open(.readOnly), environment: environment)
        let store = BlockingEventStore(store: EventStore(engine: engine))
        let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        var point = 1
        while true {
            var request = StoreExportTests.request(folder.path + "/export")
            // In part copied, in part written anew.
            request.filter.until = Fixed.day + 6
            faulty.set(.failOnce(at: point, failure))
            let outcome = code { try store.export(request) }
            if !faulty.hasFailed { break }
            let after = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(outcome == failure.rawValue, "point \(point)")
            #expect(after == before, "point \(point)")
            point += 1
        }
        #expect(point > 20)
        let export = try StoreExportTests.open(folder.path + "/export")
        try export.expectClean()
        #expect(try export.all() == store.all(EventFilter(until: Fixed.day + 6)))
        try export.close()
        try store.close()
    }

    @Test func leavesNothingWhenCancelledAndReplacesOnlyExports() throws {
        let folder = TestFolder()
        let source = try source(folder)
        let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        var request = StoreExportTests.request(folder.path + "/export")
        request.isCancelled = { true }
        #expect(code { try source.export(request) } == "cancelled")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
        request.isCancelled = nil
        try source.export(request)
        #expect(code { try source.export(request) } == "exists")
        request.replacesExisting = true
        request.filter.entities = [Self.mine]
        try source.export(request)
        let export = try StoreExportTests.open(folder.path + "/export")
        #expect(try export.all() == source.all(request.filter))
        try export.close()
        // A store that is no export is never replaced.
        request.destination = .path(folder.store)
        #expect(code { try source.export(request) } == "exists")
        try source.close()
    }

    // MARK: Damaged

    @Test func verifyNamesWhatIsDamaged() throws {
        for seed in TestRun.seeds("StoreExportSafetyTests.verifyNamesWhatIsDamaged") {
            var random = SeededGenerator(seed: seed)
            let folder = TestFolder()
            let source = try source(folder)
            let path = folder.path + "/export"
            try source.export(StoreExportTests.request(path))
            try source.close()
            for file in TestFolder.files(below: path) where file != "_manifest.json" {
                let place = path + "/" + file
                let whole = try TestFolder.bytes(place)
                for _ in 0..<4 {
                    var bytes = whole
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
                    try Data(bytes).write(to: URL(fileURLWithPath: place))
                    #expect(isNamed(place, in: path), "seed \(seed): \(file)")
                }
                try Data(whole.dropLast(1)).write(to: URL(fileURLWithPath: place))
                #expect(isNamed(place, in: path), "seed \(seed): \(file) is cut")
                try Data(whole).write(to: URL(fileURLWithPath: place))
            }
            let manifest = path + "/_manifest.json"
            let text = String(decoding: try TestFolder.bytes(manifest), as: UTF8.self)
            for changed in [text.replacingOccurrences(of: "\"sha256\" : \"", with: "\"sha256\" : \"0"), "", "{}"] {
                try Data(changed.utf8).write(to: URL(fileURLWithPath: manifest))
                let export = try StoreExportTests.open(path)
                #expect(try !export.verify().holes.isEmpty)
                try export.close()
            }
            try FileManager.default.removeItem(atPath: manifest)
            #expect(isNamed(manifest, in: path))
        }
    }

    /// Whether verifying, or opening where that fails already, blames a file.
    private func isNamed(_ file: String, in path: String) -> Bool {
        do {
            let export = try StoreExportTests.open(path)
            defer { try? export.close() }
            return try export.verify().holes.contains { $0.file == file }
        } catch let error as EventStoreError {
            return error.file == file
        } catch {
            return false
        }
    }
}

/// A file system on which nothing can be changed.
private struct UnwritableFiles: FileSystem {
    private let real = PosixFileSystem()
    private func refused(_ path: String) -> Fault { Fault(.readOnly, "not to be written", at: .init(file: path)) }

    func openForReading(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { try real.openForReading(path) }
    func openForUpdate(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { throw refused(path) }
    func create(_ path: String) throws(Fault) -> any EventStoreCore.FileHandle { throw refused(path) }
    func rename(_ from: String, to: String) throws(Fault) { throw refused(from) }
    func unlink(_ path: String) throws(Fault) { throw refused(path) }
    func makeDirectory(_ path: String) throws(Fault) { throw refused(path) }
    func removeDirectory(_ path: String) throws(Fault) { throw refused(path) }
    func list(_ path: String) throws(Fault) -> [String] { try real.list(path) }
    func status(_ path: String) throws(Fault) -> FileStatus? { try real.status(path) }
    func syncDirectory(_ path: String) throws(Fault) { throw refused(path) }
    func tryLock(_ path: String) throws(Fault) -> (any FileLock)? { throw refused(path) }
}
