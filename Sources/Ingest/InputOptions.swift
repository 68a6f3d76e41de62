// What a caller says about its input, and what the parsers ask of the caller. No parser knows a key:
// ids that are keyed hashes come through `LineIdentity`.

import EventStoreCore

/// The line formats this room reads. `logPattern` is a `--log-format` pattern.
package enum InputFormat: String, Sendable, CaseIterable {
    case ndjson
    case csv
    case clf
    case combined
    case vhostCombined = "vhost_combined"
    case logPattern = "log-format"
}

/// How input is read. A value; every parser keeps a copy.
package struct InputOptions: Sendable {
    /// `nil`: found out from the first lines and the file's name.
    package var format: InputFormat?
    /// Apache `LogFormat` directives or nginx `$variables`; with it the format is `logPattern`.
    package var logFormat: String?
    /// The entity of events that name none.
    package var defaultEntity: String?
    /// The zone of times without one. `nil`: such times are refused.
    package var inputTimeZone: InputTimeZone?
    /// The clock, milliseconds since 1970 UTC: what the limit on future times is measured from.
    package var nowMs: Int64
    /// An event later than `nowMs` plus this is refused.
    package var futureMsMax: Int64
    /// The descriptor that "-" reads.
    package var standardInput: Int32 = 0

    package init(
        format: InputFormat? = nil, logFormat: String? = nil, defaultEntity: String? = nil,
        inputTimeZone: InputTimeZone? = nil, nowMs: Int64, futureMsMax: Int64 = Limits.futureMsMax
    ) {
        self.format = format
        self.logFormat = logFormat
        self.defaultEntity = defaultEntity
        self.inputTimeZone = inputTimeZone
        self.nowMs = nowMs
        self.futureMsMax = futureMsMax
    }

    /// The latest time an event may carry.
    package var timestampMsMax: Int64 {
        let (sum, overflow) = nowMs.addingReportingOverflow(futureMsMax)
        return overflow ? .max : sum
    }
}

/// Ids for input that brings none, or none that is a UUID. Implemented by the engine with its line key;
/// one object per thread.
package protocol LineIdentity: AnyObject {
    /// A keyed hash of (entity, line). `line` has no trailing white space. The caller makes a UUIDv8 of it.
    func lineID(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer) -> EventID
    /// A hash of an event id that is not a UUID. The caller makes a UUIDv8 of it.
    func textID(_ text: UnsafeRawBufferPointer) -> EventID
}
