// Runs a range of query numbers. A number decides its data set and its query, so that any of them can be run alone:
// EVENTSTORE_DIFF_SEED=number EVENTSTORE_DIFF_QUERIES=1.

import EventStore
import Foundation
import Synchronization

struct DifferentialRun {
    /// Queries after which data sets come in the same order again, and the numbers in there at which each ends.
    static let stretch: UInt64 = 2000
    private static let dataSetEnds: [UInt64] = [650, 1300, 1940, 2000]
    /// Queries after which a store is opened again, with nothing in memory, so that blocks are looked at.
    private static let openingPeriod: UInt64 = 100
    /// Mismatches after which a run gives up.
    static let mismatchesMax = 20

    let log: RunLog
    var threads = 1
    /// Of a hundred questions, how many are checked further in each way.
    var extraShare = 8
    /// Leaves out joins and sub-queries, whose cost grows with the square of the rows.
    var skipsGeneral = false
    /// Prints each query before it runs.
    var isVerbose = false

    init(_ name: String, threads: Int = 1) {
        log = RunLog(name)
        self.threads = threads
    }

    /// All numbers of a range, cut where the data set changes.
    func run(_ numbers: Range<UInt64>) {
        var parts: [Range<UInt64>] = []
        var start = numbers.lowerBound
        while start < numbers.upperBound {
            let end = min(numbers.upperBound, Self.dataSetEnd(start))
            parts.append(start..<end)
            start = end
        }
        let next = Atomic(0)
        let work = parts
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < work.count, log.totals.mismatches < Self.mismatchesMax else { return }
                run(part: work[index])
            }
        }
    }

    /// Where the data set of a query number changes: four a stretch, the last of them with a large entity.
    static func dataSetEnd(_ number: UInt64) -> UInt64 {
        let start = number / stretch * stretch
        return start + (dataSetEnds.first { $0 > number - start } ?? stretch)
    }

    /// The data set of a query number.
    static func population(_ number: UInt64) -> Population {
        let place = dataSetEnds.firstIndex { $0 > number % stretch } ?? 0
        let seed = number / stretch * UInt64(dataSetEnds.count) + UInt64(place)
        var random = SeededGenerator(seed: seed, purpose: 4)
        if place == dataSetEnds.count - 1 { return Population(seed: seed, rows: Population.tallRows, tall: true) }
        return Population(seed: seed, rows: random.percent(10) ? 2000...5000 : 300...1200)
    }

    private func run(part: Range<UInt64>) {
        do {
            let data = try DataSet(Self.population(part.lowerBound))
            log.update { $0.add(data) }
            run(part, on: data)
        } catch {
            fail("data set of query \(part.lowerBound): \(error)")
        }
    }

    func run(_ numbers: Range<UInt64>, on data: DataSet) {
        for number in numbers {
            if log.totals.mismatches >= Self.mismatchesMax { return }
            let isCold = number % (data.population.isTall ? 2 : Self.openingPeriod) == 0
            if isCold, number > numbers.lowerBound {
                do { try data.reopen() } catch { return fail("opening again before query \(number): \(error)") }
            }
            runOne(number, on: data)
        }
    }

    private func runOne(_ number: UInt64, on data: DataSet) {
        var generator = QueryGenerator(
            events: data.events, seed: number, truth: data.truth, reads: data.reference.reads)
        let question = generator.question()
        if skipsGeneral, question.isGeneral { return }
        if isVerbose { log.say("query \(number): \(question.written(.store).sql)") }
        let checker = Checker(data: data, extraShare: extraShare)
        let verdict = checker.check(question)
        log.update { $0.add(verdict) }
        if let mismatch = verdict.mismatch {
            report(number, mismatch, data, question: question, checker: checker)
            return
        }
        guard !verdict.isError else { return }
        var random = SeededGenerator(seed: number, purpose: 3)
        guard let further = checker.checkFurther(question, &random, predicate: { generator.predicate(depth: 1) })
        else { return }
        log.update { $0.add(further, isFurther: true) }
        if let mismatch = further.mismatch { report(number, mismatch, data, question: question, checker: checker) }
    }

    private func fail(_ text: String) {
        log.say(text)
        log.update {
            $0.mismatches += 1
            $0.reports.append(text)
        }
    }

    private func report(
        _ number: UInt64, _ mismatch: Mismatch, _ data: DataSet, question: Question, checker: Checker
    ) {
        var text = """
            MISMATCH (\(mismatch.check)): \(mismatch.problem)
              EVENTSTORE_DIFF_SEED=\(number) EVENTSTORE_DIFF_QUERIES=1 (\(data.events.count) events, \
            partition \(data.population.partition), \(data.segments) segments, \(data.unflushed) in the journal)
              \(Self.described(mismatch))
            """
        if mismatch.check == "reference" {
            var minimiser = Minimiser { checker.check($0).mismatch != nil }
            let small = minimiser.smallest(question)
            if let less = checker.check(small).mismatch {
                text += "\n  smaller: \(less.problem)\n  \(Self.described(less))"
            }
        }
        let report = text
        log.say(report)
        log.update { $0.reports.append(report) }
    }

    private static func described(_ mismatch: Mismatch) -> String {
        var text = "store:     \(mismatch.sql)"
        if !mismatch.parameters.isEmpty { text += "\n  with       \(mismatch.parameters)" }
        text += "\n  reference: \(mismatch.referenceSQL)"
        text += "\n  store:     \(described(mismatch.got))\n  expected:  \(described(mismatch.expected))"
        return text
    }

    private static func described(_ answer: Answer) -> String {
        switch answer {
        case .failure(let text): return "fails: \(text)"
        case .rows(let rows):
            let first = rows.prefix(8).map { "(" + $0.map(\.description).joined(separator: ", ") + ")" }
            return "\(rows.count) rows " + first.joined(separator: " ")
        }
    }
}
