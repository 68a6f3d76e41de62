// Imports asked of the process that holds the store: files, the asker's standard input, several at once.

import Foundation
import Synchronization
import Testing

@testable import EventStore

@Suite struct ControlImportTests {
    private static func perform(_ request: ImportRequest, _ path: String) throws -> ImportReport {
        let result = try StoreAdministration.perform(
            .importEvents(request), at: path, key: Fixed.key, options: Fixed.open())
        guard case .imported(let report) = result else { throw TestFault.otherAnswer }
        return report
    }

    private enum TestFault: Error { case otherAnswer }

    private static func lines(_ numbers: Range<Int>, entity: String = "a") -> String {
        numbers.map {
            "{\"entity\":\"\(entity)\",\"type\":\"t\",\"timestamp\":\(Fixed.day + Int64($0)),\"id\":\"\(Fixed.id(UInt64($0)))\"}\n"
        }.joined()
    }

    @Test(arguments: [false, true]) func filesAreReadByTheHolder(_ durable: Bool) throws {
        let folder = TestFolder()
        let holder = try folder.create()
        var request = ImportRequest(sources: [try folder.write("in.ndjson", Self.lines(0..<500) + "{\"no\":1}\n")])
        request.durable = durable
        let report = try Self.perform(request, folder.store)
        #expect(report.stored == 500 && report.refused == 1 && report.entitiesAdded == ["a"])
        #expect(report.firstRefusals.first?.line == 501 && report.refusedByReason.count == 1)
        #expect(try holder.all().count == 500)
        request.sources = [folder.path + "/none.ndjson"]
        #expect(code { try Self.perform(request, folder.store) } == "not-found")
        try holder.close()
    }

    @Test func standardInputGoesAlong() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let pipe = Pipe()
        var request = ImportRequest(sources: ["-"])
        request.standardInput = pipe.fileHandleForReading.fileDescriptor
        let writer = Thread {
            // More than a pipe holds at once.
            for part in 0..<40 {
                try? pipe.fileHandleForWriting.write(contentsOf: Data(Self.lines(part * 100..<(part + 1) * 100).utf8))
            }
            try? pipe.fileHandleForWriting.close()
        }
        writer.start()
        let report = try Self.perform(request, folder.store)
        #expect(report.stored == 4000)
        #expect(try holder.all().count == 4000)
        try holder.close()
    }

    @Test func withoutAnInputItIsRefused() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let socket = try #require(try LocalSocket.connect(folder.store, StoreFiles.controlName))
        socket.send(try #require(ControlMessage.encode(StoreOperation.importEvents(ImportRequest(sources: ["-"])))))
        let answer = try #require(socket.line(max: ControlMessage.answerBytesMax))
        guard case .failure("invalid", let message)? = ControlMessage.decode(answer, as: ControlAnswer.self) else {
            Issue.record("\(String(decoding: answer, as: UTF8.self))")
            return
        }
        #expect(message.contains("standard input"))
        try holder.close()
    }

    /// A descriptor with what is no import is closed again; none is left over.
    @Test func otherDescriptorsAreClosed() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let pipe = Pipe()
        do {
            let socket = try #require(try LocalSocket.connect(folder.store, StoreFiles.controlName))
            let flush = try #require(ControlMessage.encode(StoreOperation.flush))
            #expect(socket.send(flush, with: pipe.fileHandleForWriting.fileDescriptor))
            while socket.line(max: ControlMessage.answerBytesMax) != nil {}
        }
        try holder.close()
        try pipe.fileHandleForWriting.close()
        // The end of the pipe comes only when nobody holds its other end.
        #expect(try pipe.fileHandleForReading.readToEnd() == nil)
    }

    /// Overlapping imports, the holder's own and two others, bulk and durable: every event once.
    @Test func importsBesideImports() throws {
        let folder = TestFolder()
        let holder = try folder.create()
        let path = try folder.write("in.ndjson", Self.lines(0..<3000) + Self.lines(0..<3000, entity: "b"))
        let other = try folder.write("other.ndjson", Self.lines(2000..<6000) + Self.lines(0..<50, entity: "c"))
        let stored = Mutex(0)
        let store = folder.store
        DispatchQueue.concurrentPerform(iterations: 4) { index in
            var request = ImportRequest(sources: [index % 2 == 0 ? path : other])
            request.durable = index > 1
            do {
                let report =
                    try index == 0 ? holder.importEvents(request) : Self.perform(request, store)
                stored.withLock { $0 += report.stored }
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(stored.withLock { $0 } == 6000 + 3000 + 50)
        let all = try holder.all()
        #expect(Set(all.map(\.identity)).count == all.count && all.count == 9050)
        try holder.expectClean()
        try holder.close()
    }
}
