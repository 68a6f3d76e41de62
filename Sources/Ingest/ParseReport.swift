// What became of the input: counts by reason and the first refusals. Reasons are stable words that users
// and scripts see; details name fields and places, never the values of an event.

import EventStoreCore

/// Why an event was refused. Raw values are printed and never change their meaning.
package enum RefusalReason: String, Sendable, CaseIterable, Hashable {
    case badJSON = "bad-json"
    case badUTF8 = "bad-utf8"
    case badCSV = "bad-csv"
    case badLogLine = "bad-log-line"
    case lineTooLong = "line-too-long"
    case tooDeep = "too-deep"
    case noEntity = "no-entity"
    case badEntity = "bad-entity"
    case noType = "no-type"
    case badType = "bad-type"
    case badID = "bad-id"
    case noTimestamp = "no-timestamp"
    case badTimestamp = "bad-timestamp"
    case timestampWithoutZone = "timestamp-without-zone"
    case futureTimestamp = "future-timestamp"
    case integerRange = "integer-range"
    case numberRange = "number-range"
    case badValue = "bad-value"
    case attributeName = "attribute-name"
    case tooManyAttributes = "too-many-attributes"
    case valueTooLong = "value-too-long"
    case eventTooLarge = "event-too-large"
}

/// One refused line or record.
package struct Refusal: Sendable, Hashable {
    /// Line in its file, from 1.
    package var line: Int
    package var reason: RefusalReason
    package var detail: String
    package init(line: Int, reason: RefusalReason, detail: String) {
        self.line = line
        self.reason = reason
        self.detail = detail
    }
}

/// Counts of one or more parses. Merging is associative; merge in chunk order to keep the first refusals first.
package struct ParseReport: Sendable {
    /// Lines or records looked at: empty lines and a CSV header do not count.
    package var read = 0
    package var refused: [RefusalReason: Int] = [:]
    /// The first refusals, at most `firstMax`, in order of line.
    package var first: [Refusal] = []
    /// Members or columns that came twice in an event; the last one won.
    package var duplicateKeys = 0
    /// Values left out because they name a person (the remote user of a log line).
    package var stripped = 0

    package static let firstMax = 20

    package init() {}

    package var refusedCount: Int { refused.values.reduce(0, +) }

    package mutating func refuse(line: Int, _ reason: RefusalReason, _ detail: @autoclosure () -> String) {
        refused[reason, default: 0] += 1
        if first.count < ParseReport.firstMax {
            first.append(Refusal(line: line, reason: reason, detail: detail()))
        }
    }

    package mutating func merge(_ other: ParseReport) {
        read += other.read
        duplicateKeys += other.duplicateKeys
        stripped += other.stripped
        refused.merge(other.refused) { $0 + $1 }
        guard !other.first.isEmpty else { return }
        first.append(contentsOf: other.first)
        first.sort { $0.line < $1.line }
        if first.count > ParseReport.firstMax { first.removeLast(first.count - ParseReport.firstMax) }
    }
}
