// The functions of one row that SQL texts may call.

package enum ScalarFunction: String, CaseIterable, Hashable, Sendable {
    // SQLite's own.
    case abs, coalesce, ifnull, iif, instr, length, lower, upper, ltrim, rtrim, trim, nullif, replace, round, substr
    case sign, typeof, hex, unicode, char
    /// `min` and `max` of two or more arguments.
    case least = "min", greatest = "max"
    // This store's.
    /// `time_bucket(width, time[, zone])`: the start of the bucket, milliseconds.
    case timeBucket = "time_bucket"
    /// `date_trunc(unit, time[, zone])`: 'minute' … 'year', weeks begin on Monday.
    case dateTrunc = "date_trunc"
    /// `iso(time[, zone])`: RFC 3339 text with milliseconds.
    case iso
}
