// The control socket: changes asked of the process that holds the store, and everything that can be wrong with asking.

import EventStoreCore
import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct ControlTests {
    private static func perform(
        _ operation: StoreOperation, _ path: String, key: KeySource = Fixed.key,
        progress: (@Sendable (Double) -> Void)? = nil
    ) throws -> OperationResult {
        try StoreAdministration.perform(operation, at: path, key: key, options: Fixed.open(), progress: progress)
    }

    private static func add(_ name: String, plan: String? = nil) -> StoreOperation {
        .addEntity(name: name, plan: plan, days: nil, reason: nil)
    }

    private static func socket(_ path: String) throws -> LocalSocket {
        try #require(try LocalSocket.connect(path, StoreFiles.controlName))
    }

    @Test func anOperationRunsInTheHolder() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        try holder.append(Self.events("old.example", 5))
        // In memory of the holder only a moment ago: it is the holder that answers.
        #expect(code { try folder.open() } == "locked")
        _ = try Self.perform(
            .addEntity(name: "new.example", plan: "starter", days: 12, reason: "order 5"), folder.store)
        _ = try Self.perform(.renameEntity(name: "new.example", to: "newer.example", reason: nil), folder.store)
        _ = try Self.perform(.suspendEntity(name: "newer.example", reason: nil), folder.store)
        let entity = try #require(try holder.entities().first { $0.name == "newer.example" })
        #expect(entity.days == 12 && entity.plan == "starter" && entity.state == .suspended)
        guard case .erased(let erased) = try Self.perform(.eraseEntity(name: "old.example", reason: nil), folder.store)
        else {
            Issue.record("no receipt")
            return
        }
        #expect(erased.events == 5 && erased.receipt.isValid())
        #expect(try holder.all().isEmpty)
        guard case .swept = try Self.perform(.sweep(dryRun: true, confirmed: false), folder.store) else {
            Issue.record("no report")
            return
        }
        try holder.close()
        // The same without a holder.
        _ = try Self.perform(.resumeEntity(name: "newer.example", reason: nil), folder.store)
        let store = try folder.open()
        #expect(try store.entities().map(\.name) == ["newer.example"])
        #expect(try store.verifyAudit().firstBroken == nil)
        try store.close()
    }

    @Test func failuresComeBackAsTheyAre() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        _ = try Self.perform(Self.add("a"), folder.store)
        #expect(code { try Self.perform(Self.add("a"), folder.store) } == "exists")
        #expect(code { try Self.perform(Self.add("b", plan: "none"), folder.store) } == "invalid")
        #expect(code { try Self.perform(.suspendEntity(name: "c", reason: nil), folder.store) } == "not-found")
        // Numbers that no caller of the command line could give.
        for after in [Int64.max, .min, -1] {
            let cancel = StoreOperation.cancelEntity(name: "a", eraseAfterMs: after, reason: nil)
            #expect(code { try Self.perform(cancel, folder.store) } == "invalid")
        }
        for days in [Int.max, .min, 0, -1] {
            let operation = StoreOperation.setEntityPlan(name: "a", plan: nil, days: days, reason: nil)
            #expect(code { try Self.perform(operation, folder.store) } == "invalid")
        }
        #expect(try holder.entities().count == 1)
        try holder.close()
    }

    @Test func aWrongKeyIsRefused() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        #expect(code { try Self.perform(Self.add("a"), folder.store, key: Fixed.otherKey) } == "wrong-key")
        #expect(try holder.entities().isEmpty)
        try holder.close()
    }

    @Test func progressArrives() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        for day in 0..<4 {
            try holder.append((0..<20).map { Known.event($0, day: -day) })
            try holder.flush()
        }
        let shares = Mutex<[Double]>([])
        let result = try Self.perform(.compact, folder.store) { share in shares.withLock { $0.append(share) } }
        guard case .compacted(let report) = result else {
            Issue.record("no report")
            return
        }
        #expect(report.segmentsBefore == 4)
        let seen = shares.withLock { $0 }
        // One as the work begins, one a partition.
        #expect(seen.count == 5 && seen.max() == 1 && seen.allSatisfy { (0...1).contains($0) }, "\(seen)")
        try holder.close()
    }

    @Test func theAuditRecordNamesTheAskingProcess() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        // Another process, which asks as the command line does.
        let command = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path + "/eventstore"
        guard FileManager.default.isExecutableFile(atPath: command) else {
            try holder.close()
            return
        }
        let key = try folder.write("key", [UInt8](repeating: 7, count: 32))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: command)
        process.arguments = ["entity", "add", folder.store, "a", "--key-file", key, "--reason", "why", "--quiet"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let record = try #require(try holder.auditRecords().last)
        #expect(record.operation == "entity.add" && record.reason == "why")
        #expect(record.process == process.processIdentifier)
        #if os(Linux)
            #expect(record.program == "eventstore")
        #endif
        try holder.close()
    }

    @Test func severalAtOnce() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let store = folder.store
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 12) { index in
            do { _ = try Self.perform(Self.add("site\(index)"), store) } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(try holder.entities().count == 12)
        #expect(try holder.verifyAudit().records == 12)
        #expect(try holder.verifyAudit().firstBroken == nil)
        try holder.close()
    }

    // MARK: What holders do wrong

    /// Holds the lock and answers each request with some bytes and the end.
    private static func withOddHolder(
        _ folder: TestFolder, answering answer: String, _ body: () throws -> Void
    ) throws -> Int {
        try folder.create().close()
        let lock = try StoreEngine.takeLock(StoreFiles(root: folder.store), StoreEngine.environment(Fixed.open()))
        defer { lock.release() }
        let listening = try LocalSocket.listen(folder.store, StoreFiles.controlName)
        let state = Mutex((isDone: false, requests: 0))
        let ended = DispatchSemaphore(value: 0)
        Thread {
            while !state.withLock({ $0.isDone }) {
                guard let connection = listening.accept(withinMs: 20) else { continue }
                guard connection.line(max: 1 << 20) != nil else { continue }
                state.withLock { $0.requests += 1 }
                connection.send(Array(answer.utf8))
            }
            ended.signal()
        }.start()
        defer {
            state.withLock { $0.isDone = true }
            ended.wait()
        }
        try body()
        return state.withLock { $0.requests }
    }

    @Test func aHolderThatEndsBeforeItBeganIsAskedAgain() throws {
        let folder = TestFolder()
        let requests = try Self.withOddHolder(folder, answering: "") {
            let error = Self.error { try Self.perform(Self.add("a"), folder.store) }
            #expect(error?.code == .locked)
            #expect(error?.message.contains("pid \(ProcessInfo.processInfo.processIdentifier)") == true)
        }
        #expect(requests > 1)
    }

    @Test(arguments: ["{\"progress\":{\"_0\":0.5}}\n", "{\"progress\":{\"_0\":0.5}}\n{\"resu"])
    func aHolderThatEndsMidwayIsNotAskedAgain(_ answer: String) throws {
        let folder = TestFolder()
        let requests = try Self.withOddHolder(folder, answering: answer) {
            let error = Self.error { try Self.perform(Self.add("a"), folder.store) }
            #expect(error?.code == .locked)
            #expect(error?.message.contains("audit list") == true)
        }
        #expect(requests == 1)
    }

    @Test func aHolderWithoutSocketIsNamed() throws {
        let folder = TestFolder()
        try folder.create().close()
        let lock = try StoreEngine.takeLock(StoreFiles(root: folder.store), StoreEngine.environment(Fixed.open()))
        defer { lock.release() }
        let error = Self.error { try Self.perform(Self.add("a"), folder.store) }
        #expect(error?.code == .locked)
        #expect(error?.message.contains("pid \(ProcessInfo.processInfo.processIdentifier)") == true)
    }

    /// One that is ending when it is asked has given the store free a moment later.
    @Test func aHolderThatIsEndingIsWaitedFor() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        holder.store.engine.stopControl()
        let thread = Thread {
            Thread.sleep(forTimeInterval: 0.4)
            try? holder.close()
        }
        thread.start()
        _ = try Self.perform(Self.add("a"), folder.store)
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.entities().map(\.name) == ["a"])
        try reader.close()
    }

    private static func error(_ body: () throws -> some Any) -> EventStoreError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? EventStoreError
        }
    }

    // MARK: What askers do wrong

    @Test func garbageIsAnsweredAndNothingElseHappens() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let lines: [[UInt8]] = [
            Array("hello".utf8), [], [0xff, 0xfe, 0], Array("{\"erase\":1}".utf8),
            Array("{\"eraseEntity\":{}}".utf8), Array("{\"compact\":{},\"flush\":{}}".utf8),
            Array(String(repeating: "[", count: 50_000).utf8),
        ]
        for line in lines {
            let socket = try Self.socket(folder.store)
            socket.send(line + [0x0a])
            let answer = try #require(socket.line(max: ControlMessage.answerBytesMax))
            guard case .failure("invalid", _)? = ControlMessage.decode(answer, as: ControlAnswer.self) else {
                Issue.record("\(String(decoding: answer, as: UTF8.self))")
                continue
            }
            #expect(socket.line(max: 1 << 20) == nil)
        }
        // More than a request can be: no memory is spent on it.
        let socket = try Self.socket(folder.store)
        let chunk = [UInt8](repeating: 0x61, count: 1 << 16)
        var sent = 0
        while sent < 64 << 20, socket.send(chunk) { sent += chunk.count }
        #expect(sent < 8 << 20)
        _ = try Self.perform(Self.add("a"), folder.store)
        #expect(try holder.entities().map(\.name) == ["a"])
        #expect(try holder.auditRecords().count == 1)
        try holder.close()
    }

    @Test func oneThatSaysHalfHoldsNobodyUp() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let silent = try Self.socket(folder.store)
        let half = try Self.socket(folder.store)
        half.send(Array("{\"compact\"".utf8))
        Thread.sleep(forTimeInterval: 0.1)
        _ = try Self.perform(Self.add("a"), folder.store)
        let start = ContinuousClock.now
        try holder.close()
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(half.send([0x0a]) == false || half.line(max: 1 << 20) != nil)
        withExtendedLifetime(silent) {}
    }

    @Test func whatWasBegunIsDoneThoughTheAskerHasGone() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        do {
            let socket = try Self.socket(folder.store)
            socket.send(try #require(ControlMessage.encode(Self.add("a"))))
            // Until it has begun; then it goes.
            _ = socket.line(max: 1 << 20)
        }
        try holder.close()
        let reader = try folder.open(Fixed.open(.readOnly))
        #expect(try reader.entities().map(\.name) == ["a"])
        try reader.close()
    }

    // MARK: Files

    @Test func aStaleSocketIsReplaced() throws {
        let folder = TestFolder()
        try folder.create().close()
        // As a process that was killed leaves it.
        _ = try LocalSocket.listen(folder.store, StoreFiles.controlName)
        let path = StoreFiles(root: folder.store).control
        #expect(FileManager.default.fileExists(atPath: path))
        _ = try Self.perform(Self.add("a"), folder.store)
        #expect(!FileManager.default.fileExists(atPath: path))
        try Data("no socket".utf8).write(to: URL(fileURLWithPath: path))
        let holder = try folder.open()
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        _ = try Self.perform(Self.add("b"), folder.store)
        #expect(try holder.entities().map(\.name) == ["a", "b"])
        try holder.close()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    #if os(Linux)
        @Test(arguments: [100, 108, 240, 400]) func longPaths(_ length: Int) throws {
            let folder = TestFolder()
            var path = folder.path
            while path.utf8.count < length {
                path += "/" + String(repeating: "d", count: min(100, max(1, length - path.utf8.count - 1)))
            }
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let store = path + "/s"
            let holder = try BlockingEventStore.create(
                at: store, key: Fixed.key, options: Fixed.create(), open: Fixed.open())
            _ = try Self.perform(Self.add("a"), store)
            #expect(try holder.entities().map(\.name) == ["a"])
            try holder.close()
        }
    #endif

    private static func events(_ entity: String, _ count: Int) -> [Event] {
        (0..<count).map { number in
            var event = Known.event(number)
            event.entity = entity
            return event
        }
    }
}
