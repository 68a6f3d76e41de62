// Puts one question of the benchmark to a store through the public API, hot and cold, and writes answers and times.
//
//   in-process ask STORE KEYFILE PLAN
//
// The plan is JSON: {"variations": [{"sql": …, "parameters": {…}}, …]}, or with {"export": ENTITY, "to":
// FILE} for variations. Each variation is answered once, untimed; then all are timed one after another in the same open
// store, and once more with the store opened before each. Prints one JSON object.

import EventStore
import Foundation

struct QuestionPlan: Decodable {
    struct Variation: Decodable {
        var sql: String?
        var parameters: [String: JSONField]?
        var export: String?
        var to: String?
    }
    var variations: [Variation]
}

struct QuestionReport: Encodable {
    struct Answer: Encodable {
        var columns: [String] = []
        var rows: [[JSONField]] = []
        var file: String?
        var isNative: Bool?
        var rowsScanned: Int?
        var bytesRead: Int?
    }
    var answers: [Answer] = []
    var hot: [Double] = []
    var cold: [Double] = []
    var open: [Double] = []
}

/// A value of a parameter or a result.
enum JSONField: Codable {
    case null, integer(Int64), double(Double), text(String)

    init(from decoder: any Decoder) throws {
        let field = try decoder.singleValueContainer()
        if let number = try? field.decode(Int64.self) {
            self = .integer(number)
        } else if let number = try? field.decode(Double.self) {
            self = .double(number)
        } else if let text = try? field.decode(String.self) {
            self = .text(text)
        } else {
            self = .null
        }
    }

    init(_ value: QueryValue) {
        switch value {
        case .null: self = .null
        case .integer(let number): self = .integer(number)
        case .double(let number): self = .double(number)
        case .text(let text): self = .text(text)
        }
    }

    var queryValue: QueryValue {
        switch self {
        case .null: .null
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .text(let text): .text(text)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var field = encoder.singleValueContainer()
        switch self {
        case .null: try field.encodeNil()
        case .integer(let number): try field.encode(number)
        case .double(let number): try field.encode(number)
        case .text(let text): try field.encode(text)
        }
    }
}

/// Asks the variations of a plan.
struct Questions {
    let path: String
    let key: KeySource
    let plan: QuestionPlan

    static func main(_ arguments: [String]) throws {
        let plan = try JSONDecoder().decode(
            QuestionPlan.self, from: Data(contentsOf: URL(fileURLWithPath: arguments[2])))
        let report = try Questions(path: arguments[0], key: .keyFile(arguments[1]), plan: plan).ask()
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        FileHandle.standardOutput.write(try encoder.encode(report) + Data("\n".utf8))
    }

    func ask() throws -> QuestionReport {
        var report = QuestionReport()
        let store = try open()
        for variation in plan.variations { report.answers.append(try answer(store, variation, isKept: true)) }
        for variation in plan.variations.reversed() {
            let start = ContinuousClock.now
            _ = try answer(store, variation, isKept: false)
            report.hot.append(milliseconds(since: start))
        }
        try store.close()
        for variation in plan.variations {
            let start = ContinuousClock.now
            let store = try open()
            report.open.append(milliseconds(since: start))
            _ = try answer(store, variation, isKept: false)
            report.cold.append(milliseconds(since: start))
            try store.close()
        }
        return report
    }

    private func open() throws -> BlockingEventStore {
        try BlockingEventStore.open(at: path, key: key, options: OpenOptions(mode: .readOnly))
    }

    private func milliseconds(since start: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - start) / .milliseconds(1)
    }

    /// All rows of an answer; only those that are kept become JSON later.
    private func answer(
        _ store: BlockingEventStore, _ variation: QuestionPlan.Variation, isKept: Bool
    ) throws -> QuestionReport.Answer {
        if let entity = variation.export {
            let target = isKept ? variation.to ?? "/dev/null" : (variation.to ?? "/dev/null") + ".again"
            try export(store, entity, to: target)
            return QuestionReport.Answer(file: target)
        }
        let cursor = try store.query(
            variation.sql ?? "", parameters: (variation.parameters ?? [:]).mapValues(\.queryValue))
        let rows = try cursor.rows()
        guard isKept else { return QuestionReport.Answer() }
        let cost = cursor.statistics
        return QuestionReport.Answer(
            columns: cursor.columns.map(\.name), rows: rows.map { $0.map { JSONField($0) } },
            isNative: cost.isNative, rowsScanned: cost.rowsScanned, bytesRead: cost.bytesRead)
    }

    /// Writes an entity's events as NDJSON, oldest first, through the event cursor.
    private func export(_ store: BlockingEventStore, _ entity: String, to target: String) throws {
        guard FileManager.default.createFile(atPath: target, contents: nil) else {
            throw CocoaError(.fileWriteUnknown)
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: target))
        defer { try? file.close() }
        let cursor = try store.cursor(EventFilter(entities: [entity]), order: .oldestFirst)
        var bytes: [UInt8] = []
        while let batch = try cursor.nextBatch() {
            batch.writeNDJSON(into: &bytes)
            if bytes.count >= 1 << 20 {
                try file.write(contentsOf: bytes)
                bytes.removeAll(keepingCapacity: true)
            }
        }
        try file.write(contentsOf: bytes)
    }
}
