// What a run has seen so far, shared by its threads, and how it is printed.

import Foundation
import Synchronization

/// Counts of one run.
struct Totals: Sendable {
    var queries = 0
    var native = 0
    var nonEmpty = 0
    var refused = 0
    var furtherChecks = 0
    var rows = 0
    var dataSets = 0
    var segmentsMin = Int.max
    var unflushedSets = 0
    var features: [String: Int] = [:]
    var mismatches = 0
    var reports: [String] = []

    var nativeShare: Double { queries == 0 ? 0 : 100 * Double(native) / Double(queries) }
    var nonEmptyShare: Double { queries == 0 ? 0 : 100 * Double(nonEmpty) / Double(queries) }

    mutating func add(_ verdict: Verdict, isFurther: Bool = false) {
        for feature in verdict.features { features[feature, default: 0] += 1 }
        if verdict.mismatch != nil { mismatches += 1 }
        if isFurther {
            furtherChecks += 1
            return
        }
        queries += 1
        rows += verdict.rows
        if verdict.isNative { native += 1 }
        if !verdict.isEmpty { nonEmpty += 1 }
        if verdict.isError { refused += 1 }
    }

    mutating func add(_ data: DataSet) {
        dataSets += 1
        segmentsMin = min(segmentsMin, data.segments)
        if data.unflushed > 0 { unflushedSets += 1 }
        features["partition \(data.population.partition)", default: 0] += 1
    }

    var line: String {
        "\(queries) queries, \(furtherChecks) further checks, \(dataSets) data sets, \(rows) rows, native "
            + String(format: "%.1f %%, non-empty %.1f %%", nativeShare, nonEmptyShare)
            + ", refused by both \(refused), mismatches \(mismatches)"
    }

    /// Which features the queries had how often.
    var coverage: String {
        let lines = features.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { name, count in
            String(repeating: " ", count: max(1, 9 - String(count).count)) + "\(count)  \(name)"
        }
        return
            "at least \(dataSets == 0 ? 0 : segmentsMin) segments a store, \(unflushedSets) of \(dataSets) with rows in the journal\n"
            + lines.joined(separator: "\n")
    }
}

/// Totals behind a lock, and a line every ten seconds.
final class RunLog: Sendable {
    private struct State {
        var totals = Totals()
        var lastLine = Date()
    }
    private let state = Mutex(State())
    private let start = Date()
    let name: String

    init(_ name: String) { self.name = name }

    var totals: Totals { state.withLock { $0.totals } }

    func update(_ change: (inout Totals) -> Void) {
        state.withLock { state in
            change(&state.totals)
            guard Date().timeIntervalSince(state.lastLine) > 10 else { return }
            state.lastLine = Date()
            say(state.totals.line)
        }
    }

    func say(_ text: String) {
        let seconds = Date().timeIntervalSince(start)
        print(String(format: "[%.0f s] %@: ", seconds, name) + text)
        fflush(nil)
    }

    var seconds: Double { Date().timeIntervalSince(start) }
}
