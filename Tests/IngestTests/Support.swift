// Helpers of the room's tests: rows as values that compare and print, ids without a key, random numbers with a
// printed seed, temporary files.

import EventStoreCore
import EventStoreIngest
import Foundation
import Testing

/// One attribute's value.
enum Value: Hashable, CustomStringConvertible {
    case string(String)
    case integer(Int64)
    case double(UInt64)
    case bool(Bool)
    case json(String)

    static func number(_ value: Double) -> Value { .double(value.bitPattern) }

    var description: String {
        switch self {
        case .string(let text): "\"\(text)\""
        case .integer(let value): "\(value)"
        case .double(let bits): "\(Double(bitPattern: bits)) (double)"
        case .bool(let value): "\(value)"
        case .json(let text): "json \(text)"
        }
    }
}

struct Row: Hashable {
    var entity: String
    var type: String
    var timestamp: Int64
    var id: EventID
    var flags: UInt8
    var attributes: [String: Value]
}

struct Parsed {
    var rows: [Row] = []
    var report = ParseReport()
    /// The reasons of refusals in order of line.
    var refusals: [RefusalReason] { report.first.map(\.reason) }
}

/// Ids that depend on their input alone.
final class PlainIdentity: LineIdentity {
    func lineID(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer) -> EventID {
        EventID(high: fnv(entity, 1), low: fnv(line, 2))
    }
    func textID(_ text: UnsafeRawBufferPointer) -> EventID { EventID(high: fnv(text, 3), low: fnv(text, 4)) }

    private func fnv(_ bytes: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325 ^ seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

/// 2026-01-01T00:00:00Z, the clock of all tests.
let testNowMs: Int64 = 1_767_225_600_000

func testOptions(entity: String? = nil, zone: String? = nil, format: InputFormat? = nil) -> InputOptions {
    InputOptions(
        format: format, defaultEntity: entity, inputTimeZone: zone.flatMap { InputTimeZone($0) }, nowMs: testNowMs)
}

func rows(of batch: RowBatch) -> [Row] {
    (0..<batch.rowCount).map { index in
        let shape = batch.shapes[Int(batch.shape[index])]
        var attributes: [String: Value] = [:]
        for (key, cell) in zip(shape.columns, batch.cells(ofRow: index)) {
            let name = batch.attributes.string(Int(key.attribute))
            #expect(attributes[name] == nil, "an attribute comes once a row")
            attributes[name] = value(key.kind, cell, batch)
        }
        return Row(
            entity: batch.entities.string(Int(batch.entity[index])), type: batch.types.string(Int(shape.type)),
            timestamp: batch.timestamp[index], id: batch.id[index], flags: batch.flags[index].rawValue,
            attributes: attributes)
    }
}

private func value(_ kind: ValueKind, _ cell: UInt64, _ batch: RowBatch) -> Value {
    switch kind {
    case .string: .string(batch.strings.string(Int(cell)))
    case .integer: .integer(Int64(bitPattern: cell))
    case .double: .double(cell)
    case .bool: .bool(cell == 1)
    case .json: .json(batch.strings.string(Int(cell)))
    }
}

extension EventParser {
    /// Parses bytes that end where readable memory ends.
    func parseAll(_ bytes: [UInt8], firstLine: Int = 1) {
        let exact = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
        defer { exact.deallocate() }
        exact.copyBytes(from: bytes)
        let progress = parse(UnsafeRawBufferPointer(rebasing: exact[..<bytes.count]), firstLine: firstLine)
        #expect(progress.bytes == bytes.count)
    }

    func finish() -> Parsed { Parsed(rows: rows(of: takeBatch()), report: takeReport()) }
}

func parseJSON(_ bytes: [UInt8], _ options: InputOptions = testOptions()) -> Parsed {
    let parser = NDJSONParser(options: options, identity: PlainIdentity())
    parser.parseAll(bytes)
    return parser.finish()
}

func parseJSON(_ text: String, _ options: InputOptions = testOptions()) -> Parsed {
    parseJSON(Array(text.utf8), options)
}

/// A line with all that must be there and these members more.
func event(_ members: String) -> String {
    #"{"entity":"a.example","event_type":"t","timestamp":1700000000000"# + (members.isEmpty ? "" : "," + members) + "}"
}

/// The attributes of an event with these members, or `nil` when it is refused.
func attributes(_ members: String) -> [String: Value]? {
    let parsed = parseJSON(event(members))
    return parsed.rows.first?.attributes
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64
    let seed: UInt64

    init(seed: UInt64? = nil) {
        self.seed = seed ?? UInt64.random(in: .min ... .max)
        state = self.seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }
}

/// A file that is gone when the closure ends.
func withFile<T>(_ bytes: [UInt8], name: String = "input", _ body: (String) throws -> T) throws -> T {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ingest-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return try body(file.path)
}
