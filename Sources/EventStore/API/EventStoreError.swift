import EventStoreCore

/// The one error the store throws: a stable code, what happened and what to do, and the place.
public struct EventStoreError: Error, Sendable, CustomStringConvertible {
    /// A stable name for the kind of failure. New codes may be added; keep a default when switching.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// No store, file or name of that kind is there.
        public static let notFound = Code(rawValue: "not-found")
        /// The key does not open this store. Nothing was read or changed.
        public static let wrongKey = Code(rawValue: "wrong-key")
        /// The data's entity was erased; its key is gone for good.
        public static let keyErased = Code(rawValue: "key-erased")
        /// Bytes on disk do not decode. `verify` lists what is affected; the rest stays readable.
        public static let damaged = Code(rawValue: "damaged")
        /// Bytes on disk fail authentication: changed since they were written, or moved.
        public static let tampered = Code(rawValue: "tampered")
        /// Another process is the writer.
        public static let locked = Code(rawValue: "locked")
        /// No space left. Nothing was half-stored; make room and try again.
        public static let diskFull = Code(rawValue: "disk-full")
        /// A sync failed earlier, so nothing more is written. Close and reopen to recover.
        public static let poisoned = Code(rawValue: "poisoned")
        /// The store, or the way it was opened, takes no writes.
        public static let readOnly = Code(rawValue: "read-only")
        /// Written by a newer version than this one.
        public static let tooNew = Code(rawValue: "too-new")
        /// The clock cannot be right.
        public static let clock = Code(rawValue: "clock")
        /// Files belong to somebody else or are too open.
        public static let permission = Code(rawValue: "permission")
        /// Something is there already.
        public static let exists = Code(rawValue: "exists")
        /// An argument makes no sense.
        public static let invalid = Code(rawValue: "invalid")
        /// A documented limit was reached.
        public static let limit = Code(rawValue: "limit")
        /// The operating system refused an operation.
        public static let io = Code(rawValue: "io")
        /// The configured copy of the keys cannot be written, so no new key may be used. Known entities go on.
        public static let keyBackup = Code(rawValue: "key-backup")
        /// The work was cancelled.
        public static let cancelled = Code(rawValue: "cancelled")
    }

    public let code: Code
    /// What happened and, where something helps, what to do.
    public let message: String
    /// The file concerned, if one is.
    public let file: String?
    /// Where in the text of a query the problem lies, in bytes of UTF-8 from its start; only for queries.
    public let offset: Int?

    package init(_ fault: Fault) {
        code = Code(rawValue: fault.code.rawValue)
        message = fault.description
        file = fault.place.file
        offset = fault.place.file == nil ? fault.place.offset : nil
    }

    public var description: String { "\(message) error[\(code.rawValue)]" }
}
