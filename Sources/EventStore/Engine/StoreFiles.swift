// Where the files of a store are, and the names of their days.

import EventStoreCore
import EventStoreSegments

struct StoreFiles: Sendable {
    let root: String

    var catalog: String { Path.join(root, "catalog.db") }
    var keyring: String { Path.join(root, "keyring") }
    var segments: String { Path.join(root, "segments") }
    var reserve: String { Path.join(root, Reserve.fileName) }
    var quarantine: String { Path.join(root, "quarantine") }
    var lock: String { Path.join(root, "lock") }
    var control: String { Path.join(root, StoreFiles.controlName) }
    static let controlName = "control.sock"

    /// The directory of a partition, named by the UTC day it starts on.
    func directory(partitionStart: Int64) -> String {
        Path.join(segments, CivilDate(ms: partitionStart).text)
    }

    func segment(_ id: SegmentID, partitionStart: Int64) -> String {
        Path.join(directory(partitionStart: partitionStart), id.hex + ".seg")
    }
}

/// A day of the proleptic Gregorian calendar in UTC. The arithmetic is that of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin on 1 March.
struct CivilDate: Equatable, Sendable {
    var year: Int
    var month: Int
    var day: Int

    init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    init(dayNumber: Int64) {
        let shifted = dayNumber + 719_468
        let era = CivilDate.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
        month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
    }

    init(ms: Int64) { self.init(dayNumber: CivilDate.day(ms: ms)) }

    /// Days since 1970-01-01.
    var dayNumber: Int64 {
        let shiftedYear = Int64(month <= 2 ? year - 1 : year)
        let era = CivilDate.floorDivide(shiftedYear, 400)
        let yearOfEra = shiftedYear - era * 400
        let shiftedMonth = Int64(month > 2 ? month - 3 : month + 9)
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    var text: String {
        func padded(_ value: Int, _ width: Int) -> String {
            let digits = String(value.magnitude)
            return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }

    /// The UTC day a moment lies in, as days since 1970.
    @inline(__always)
    static func day(ms: Int64) -> Int64 { floorDivide(ms, Limits.msPerDay) }

    @inline(__always)
    static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : (value + 1) / divisor - 1
    }
}

extension Partition {
    /// The number that stands in the catalog; never reused.
    var stored: Int {
        switch self {
        case .day: 1
        case .week: 2
        case .month: 3
        }
    }

    init?(stored: Int) {
        guard let known = Partition.allCases.first(where: { $0.stored == stored }) else { return nil }
        self = known
    }

    /// Start and length, in ms, of the partition a moment lies in. Weeks begin on Monday.
    func bounds(of ms: Int64) -> (start: Int64, length: Int64) {
        let day = CivilDate.day(ms: ms)
        switch self {
        case .day: return (day * Limits.msPerDay, Limits.msPerDay)
        case .week:
            // Day 4 of 1970 was a Monday.
            let sinceMonday = day - 4 - CivilDate.floorDivide(day - 4, 7) * 7
            return ((day - sinceMonday) * Limits.msPerDay, 7 * Limits.msPerDay)
        case .month:
            let date = CivilDate(dayNumber: day)
            let first = CivilDate(year: date.year, month: date.month, day: 1).dayNumber
            let next =
                date.month == 12
                ? CivilDate(year: date.year + 1, month: 1, day: 1).dayNumber
                : CivilDate(year: date.year, month: date.month + 1, day: 1).dayNumber
            return (first * Limits.msPerDay, (next - first) * Limits.msPerDay)
        }
    }
}
