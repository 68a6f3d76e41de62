// Times what a program that embeds the store waits for: opening it and the first answer, with a key file, files
// in the system's cache. Prints one JSON object, times in milliseconds.
//
//   in-process STORE KEYFILE ENTITY [RUNS]
//   in-process ask STORE KEYFILE PLAN            one question of the benchmark (Questions.swift)

import EventStore
import Foundation

@main
struct InProcess {
    static func main() {
        do { try run(CommandLine.arguments) } catch {
            FileHandle.standardError.write(Data("in-process: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ arguments: [String]) throws {
        guard arguments.count >= 4, arguments[1] != "ask" || arguments.count == 5 else {
            FileHandle.standardError.write(
                Data("usage: in-process STORE KEYFILE ENTITY [RUNS] | in-process ask STORE KEYFILE PLAN\n".utf8))
            exit(64)
        }
        if arguments[1] == "ask" { return try Questions.main(Array(arguments[2...])) }
        let bench = InProcess(
            path: arguments[1], key: .keyFile(arguments[2]), entity: arguments[3],
            runs: arguments.count > 4 ? Int(arguments[4]) ?? 7 : 7)
        let results = [
            ("open", try bench.time { _ in }),
            ("openAndCountByType", try bench.time { _ = try $0.counts(by: .type) }),
            ("openAndLast50", try bench.time { try bench.read($0, EventFilter(entities: [bench.entity]), limit: 50) }),
            (
                "openAndExportEntity",
                try bench.time { try bench.export($0, EventFilter(entities: [bench.entity])) }
            ),
        ]
        let fields = results.map { name, times in
            "\"\(name)\":{\"median\":\(InProcess.median(times)),\"least\":\(InProcess.rounded(times.min() ?? 0))}"
        }
        print("{\(fields.joined(separator: ","))}")
    }

    let path: String
    let key: KeySource
    let entity: String
    let runs: Int

    /// Opens, works, closes, once to warm up and `runs` times for the record; closing is not timed.
    private func time(_ work: (BlockingEventStore) throws -> Void) throws -> [Double] {
        var times: [Double] = []
        for run in 0...runs {
            let start = ContinuousClock.now
            let store = try BlockingEventStore.open(at: path, key: key, options: OpenOptions(mode: .readOnly))
            try work(store)
            if run > 0 { times.append((ContinuousClock.now - start) / .milliseconds(1)) }
            try store.close()
        }
        return times
    }

    private func read(_ store: BlockingEventStore, _ filter: EventFilter, limit: Int) throws {
        let cursor = try store.cursor(filter, limit: limit)
        var count = 0
        while let batch = try cursor.nextBatch() {
            for index in 0..<batch.count { count += batch[index].attributes.isEmpty ? 0 : 1 }
        }
        guard count > 0 else { throw EmptyAnswer(question: "the last events of \(entity)") }
    }

    private func export(_ store: BlockingEventStore, _ filter: EventFilter) throws {
        let cursor = try store.cursor(filter, order: .stored)
        var bytes: [UInt8] = []
        while let batch = try cursor.nextBatch() {
            bytes.removeAll(keepingCapacity: true)
            batch.writeNDJSON(into: &bytes)
        }
    }

    private struct EmptyAnswer: Error, CustomStringConvertible {
        let question: String
        var description: String { "no answer to: \(question)" }
    }

    private static func median(_ times: [Double]) -> Double {
        let sorted = times.sorted()
        return sorted.isEmpty ? 0 : rounded(sorted[sorted.count / 2])
    }

    private static func rounded(_ time: Double) -> Double { (time * 1000).rounded() / 1000 }
}
