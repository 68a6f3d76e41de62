/// The one error that travels between rooms. `EventStore` turns it into the public error at the door.
///
/// An error is a stable code, a sentence that says what happened and what to do, the place it happened,
/// and the error that caused it. Bad bytes and bad input throw a `Fault`; broken code traps; never mixed.
@usableFromInline
package struct Fault: Error, Sendable, CustomStringConvertible {
    /// Stable, extensible codes. The raw value is what `error[CODE]` prints.
    package struct Code: RawRepresentable, Hashable, Sendable {
        package let rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        package static let notFound = Code(rawValue: "not-found")
        package static let wrongKey = Code(rawValue: "wrong-key")
        package static let keyErased = Code(rawValue: "key-erased")
        /// Bytes that do not decode, or a missing file: rot, truncation, a torn tail.
        package static let damaged = Code(rawValue: "damaged")
        /// Bytes whose authentication tag does not match.
        package static let tampered = Code(rawValue: "tampered")
        package static let locked = Code(rawValue: "locked")
        package static let diskFull = Code(rawValue: "disk-full")
        package static let poisoned = Code(rawValue: "poisoned")
        package static let readOnly = Code(rawValue: "read-only")
        package static let tooNew = Code(rawValue: "too-new")
        package static let clock = Code(rawValue: "clock")
        package static let permission = Code(rawValue: "permission")
        package static let exists = Code(rawValue: "exists")
        package static let invalid = Code(rawValue: "invalid")
        package static let limit = Code(rawValue: "limit")
        package static let io = Code(rawValue: "io")
        package static let cancelled = Code(rawValue: "cancelled")
    }

    /// Where it happened: as much as is known, always numbers and file names, never stored data.
    package struct Place: Hashable, Sendable {
        package var file: String?
        package var offset: Int?
        package var entity: UInt32?
        package var block: UInt32?
        package var timeRange: Range<Int64>?

        package init(
            file: String? = nil, offset: Int? = nil, entity: UInt32? = nil, block: UInt32? = nil,
            timeRange: Range<Int64>? = nil
        ) {
            self.file = file
            self.offset = offset
            self.entity = entity
            self.block = block
            self.timeRange = timeRange
        }
    }

    package var code: Code
    package var message: String
    package var place: Place
    /// Text of the error underneath, if any.
    package var cause: String?
    /// A sync failed: what was written since the last one may or may not be on disk, and trying again proves
    /// nothing.
    package var isFileSyncFailure = false

    package init(_ code: Code, _ message: String, at place: Place = Place(), cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.place = place
        self.cause = cause.map { "\($0)" }
    }

    /// The same fault with a place filled in where it was unknown (the outer caller knows the file).
    package func at(file: String? = nil, entity: UInt32? = nil, block: UInt32? = nil) -> Fault {
        var copy = self
        copy.place.file = place.file ?? file
        copy.place.entity = place.entity ?? entity
        copy.place.block = place.block ?? block
        return copy
    }

    @usableFromInline package var description: String {
        var text = message
        if let file = place.file { text += " [file \(file)" + (place.offset.map { " at \($0)" } ?? "") + "]" }
        if let entity = place.entity { text += " [entity #\(entity)]" }
        if let block = place.block { text += " [block \(block)]" }
        if let cause { text += " (\(cause))" }
        return text
    }
}

extension Fault {
    /// A system call that failed, with the code its errno stands for.
    package static func system(_ call: String, errno number: Int32, file: String? = nil) -> Fault {
        let code: Code
        switch number {
        case ENOENT: code = .notFound
        case ENOSPC, EDQUOT: code = .diskFull
        case EACCES, EPERM: code = .permission
        case EROFS: code = .readOnly
        case EEXIST: code = .exists
        default: code = .io
        }
        var fault = Fault(code, "\(call): \(String(cString: strerror(number)))", at: Place(file: file))
        fault.isFileSyncFailure = call == "fsync"
        return fault
    }
}

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
