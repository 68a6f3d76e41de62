// Parsing event lines into columns, the first step of every import.

import Benchmark
import EventStoreCore
import EventStoreIngest

/// Ids of lines without one; none of these lines lacks it.
private final class NoIdentity: LineIdentity {
    func lineID(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer) -> EventID { EventID(high: 0, low: 0) }
    func textID(_ text: UnsafeRawBufferPointer) -> EventID { EventID(high: 0, low: 0) }
}

func parseBenchmarks() {
    let make = {
        (
            NDJSONParser(
                options: InputOptions(nowMs: EventLines.startMs + Limits.msPerDay), identity: NoIdentity()),
            EventLines.make(count: 10_000, entities: 50)
        )
    }
    measure("parse-10000-lines", setUp: make) { parser, lines in
        lines.withUnsafeBytes { blackHole(parser.parse($0, firstLine: 1, rowLimit: .max)) }
        blackHole(parser.takeBatch().rowCount)
    }
}
