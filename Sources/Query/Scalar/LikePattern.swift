// Patterns of LIKE and GLOB, prepared once: plain texts with or without wildcards at their ends are compared bytewise,
// all others matched step by step with one point to go back to.

import EventStoreCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A LIKE or GLOB pattern. LIKE takes ASCII letters of both cases for the same; `_` and `?` stand for a code point.
/// As in SQLite, text ends at its first zero byte.
package struct LikePattern: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        /// One code point; its other case, if that counts too.
        case scalar(UInt32, UInt32)
        case any
        case run
        case set(CharacterSet)
        /// Matches nothing: a pattern that breaks off.
        case never
    }

    /// How patterns without inner wildcards match.
    enum Shape: Sendable, Hashable {
        case exact, prefix, suffix, contains
        case steps
    }

    /// The inside of `[…]` in GLOB.
    struct CharacterSet: Sendable, Hashable {
        var isInverted = false
        var ranges: [ClosedRange<UInt32>] = []

        func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } != isInverted }
    }

    package let kind: PatternKind
    let shape: Shape
    let steps: [Step]
    /// Of the shapes other than `steps`; lower case where case does not count.
    let literal: [UInt8]

    /// - Parameter escape: the code point before a `%`, `_` or itself that stands for itself; LIKE only.
    package init(_ kind: PatternKind, _ pattern: Text, escape: UInt32? = nil) {
        self.kind = kind
        let steps = pattern.withBytes { bytes in
            var parser = PatternParser(kind: kind, bytes: bytes, escape: escape)
            return parser.steps()
        }
        self.steps = steps
        (shape, literal) = Self.shape(of: steps)
    }

    /// A pattern that always goes step by step: what the faster shapes must equal.
    init(steps: [Step], kind: PatternKind) {
        self.kind = kind
        self.steps = steps
        shape = .steps
        literal = []
    }

    /// The code point of an ESCAPE clause; `nil` unless the text is exactly one.
    package static func escape(_ text: Text) -> UInt32? {
        text.withBytes { bytes in
            var scan = ScalarScan(bytes)
            guard let scalar = scan.next(), scan.next() == nil else { return nil }
            return scalar
        }
    }

    /// What all matching text begins with, exactly: of use to zone maps. Empty for LIKE patterns that begin with a
    /// letter.
    package var exactPrefix: [UInt8] {
        var bytes: [UInt8] = []
        for step in steps {
            guard case .scalar(let scalar, let other) = step, scalar == other, let unicode = Unicode.Scalar(scalar),
                scalar != 0xfffd
            else { break }
            bytes += String(Character(unicode)).utf8
        }
        return bytes
    }

    private static func shape(of steps: [Step]) -> (Shape, [UInt8]) {
        let opens = steps.first == .run
        let closes = steps.count > 1 && steps.last == .run
        let inner = steps.dropFirst(opens ? 1 : 0).dropLast(closes ? 1 : 0)
        var literal: [UInt8] = []
        for step in inner {
            // SQLite reads U+FFFE and U+FFFF as U+FFFD, which bytes do not show.
            guard case .scalar(let scalar, _) = step, scalar != 0xfffd, let unicode = Unicode.Scalar(scalar) else {
                return (.steps, [])
            }
            literal += String(Character(unicode)).utf8
        }
        if opens { return (closes || inner.isEmpty ? .contains : .suffix, literal) }
        return (closes ? .prefix : .exact, literal)
    }

    /// Whether text, as UTF-8, matches.
    package func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        switch shape {
        case .exact:
            text.count >= literal.count && (text.count == literal.count || text[literal.count] == 0)
                && hasLiteral(text, at: 0)
        case .prefix: text.count >= literal.count && hasLiteral(text, at: 0)
        case .suffix:
            if case let text = Self.beforeZero(text), text.count >= literal.count {
                hasLiteral(text, at: text.count - literal.count)
            } else {
                false
            }
        case .contains: contains(Self.beforeZero(text))
        case .steps: PatternMatch(steps: steps).matches(Self.beforeZero(text))
        }
    }

    package func matches(_ text: Text) -> Bool { text.withBytes { matches($0) } }

    private static func beforeZero(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let base = text.baseAddress, let zero = memchr(base, 0, text.count) else { return text }
        return UnsafeRawBufferPointer(rebasing: text[..<(UnsafeRawPointer(zero) - base)])
    }

    @inline(__always)
    private func hasLiteral(_ text: UnsafeRawBufferPointer, at start: Int) -> Bool {
        literal.withUnsafeBytes { literal in
            guard let base = text.baseAddress, let wanted = literal.baseAddress else { return literal.isEmpty }
            if kind == .glob { return memcmp(base + start, wanted, literal.count) == 0 }
            for index in 0..<literal.count where foldedASCII(text[start + index]) != literal[index] { return false }
            return true
        }
    }

    private func contains(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let first = literal.first else { return true }
        guard text.count >= literal.count else { return false }
        for start in 0...(text.count - literal.count) {
            let byte = kind == .like ? foldedASCII(text[start]) : text[start]
            if byte == first, hasLiteral(text, at: start) { return true }
        }
        return false
    }
}

extension LikePattern {
    /// Whether ``mark(_:_:)`` can be asked.
    var searchesWithin: Bool { shape == .contains && literal.count > 1 }

    /// Calls `body` with the number of each text that has the literal in it; once for each place it has it.
    ///
    /// Candidates are places where the literal's first and last byte stand at their distance, looked for in 16 places
    /// at a time (W. Muła, "SIMD-friendly algorithms for substring searching", 2016), over all texts in one go.
    func mark(_ arena: TextArena, _ body: (Int) -> Void) {
        literal.withUnsafeBufferPointer { literal in
            guard let wanted = literal.baseAddress, literal.count > 1 else { return }
            let distance = literal.count - 1
            let places = arena.offsets[arena.count] - distance
            let isLike = kind == .like
            func fold(_ byte: UInt8) -> UInt8 { isLike && byte &- 0x61 < 26 ? 0x20 : 0 }
            let first = (SIMD16<UInt8>(repeating: wanted[0]), SIMD16<UInt8>(repeating: fold(wanted[0])))
            let last = (SIMD16<UInt8>(repeating: wanted[distance]), SIMD16<UInt8>(repeating: fold(wanted[distance])))
            let raw = UnsafeRawPointer(arena.base)
            var entry = 0
            var place = 0
            while place < places {
                if place + 16 <= places {
                    let starts = raw.loadUnaligned(fromByteOffset: place, as: SIMD16<UInt8>.self) | first.1
                    let ends = raw.loadUnaligned(fromByteOffset: place + distance, as: SIMD16<UInt8>.self) | last.1
                    let both = (starts .== first.0) .& (ends .== last.0)
                    let words = unsafeBitCast(both, to: SIMD2<UInt64>.self)
                    if words[0] | words[1] == 0 {
                        place += 16
                        continue
                    }
                }
                for candidate in place..<min(place + 16, places) {
                    let isHit = holds(arena.base + candidate, wanted, distance + 1, isLike)
                    if isHit, owns(arena, candidate, distance + 1, &entry) { body(entry) }
                }
                place += 16
            }
        }
    }

    @inline(__always)
    private func holds(
        _ text: UnsafePointer<UInt8>, _ wanted: UnsafePointer<UInt8>, _ count: Int, _ isLike: Bool
    ) -> Bool {
        for index in 0..<count {
            let byte = isLike ? foldedASCII(text[index]) : text[index]
            if byte != wanted[index] { return false }
        }
        return true
    }

    /// Whether a place and what follows lie in one text, before its first zero; moves `entry` to that text.
    private func owns(_ arena: TextArena, _ place: Int, _ count: Int, _ entry: inout Int) -> Bool {
        while arena.offsets[entry + 1] <= place { entry += 1 }
        guard place + count <= arena.offsets[entry + 1] else { return false }
        let start = arena.offsets[entry]
        return memchr(arena.base + start, 0, place - start) == nil
    }
}

/// ASCII capitals as small letters.
@inline(__always)
func foldedASCII(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// Code points of valid UTF-8, read as SQLite reads them; ends at a zero byte.
struct ScalarScan {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count || bytes[position] == 0 }

    mutating func next() -> UInt32? {
        guard !isAtEnd else { return nil }
        let lead = bytes[position]
        position += 1
        if lead < 0xc0 { return UInt32(lead) }
        var scalar = UInt32(lead) & (lead < 0xe0 ? 0x1f : lead < 0xf0 ? 0x0f : 0x07)
        while position < bytes.count, bytes[position] & 0xc0 == 0x80 {
            scalar = scalar << 6 | UInt32(bytes[position] & 0x3f)
            position += 1
        }
        let isOdd = scalar < 0x80 || scalar & 0xffff_f800 == 0xd800 || scalar & 0xffff_fffe == 0xfffe
        return isOdd ? 0xfffd : scalar
    }
}

/// Turns the text of a pattern into steps.
private struct PatternParser {
    let kind: PatternKind
    let escape: UInt32?
    var scan: ScalarScan

    init(kind: PatternKind, bytes: UnsafeRawBufferPointer, escape: UInt32?) {
        self.kind = kind
        self.escape = escape
        scan = ScalarScan(bytes)
    }

    mutating func steps() -> [LikePattern.Step] {
        var steps: [LikePattern.Step] = []
        while let scalar = scan.next() {
            let step = step(scalar)
            if step == .run, steps.last == .run { continue }
            steps.append(step)
        }
        return steps
    }

    private mutating func step(_ scalar: UInt32) -> LikePattern.Step {
        if scalar == escape {
            guard let escaped = scan.next() else { return .never }
            return one(escaped)
        }
        switch (kind, scalar) {
        case (.like, 0x25), (.glob, 0x2a): return .run
        case (.like, 0x5f), (.glob, 0x3f): return .any
        case (.glob, 0x5b): return set()
        default: return one(scalar)
        }
    }

    private func one(_ scalar: UInt32) -> LikePattern.Step {
        guard kind == .like, scalar < 0x80 else { return .scalar(scalar, scalar) }
        let small = UInt32(foldedASCII(UInt8(scalar)))
        return .scalar(small, small &- 0x61 < 26 ? small - 0x20 : small)
    }

    /// After `[`: `^` inverts, a `]` at the front and a `-` at either end stand for themselves.
    private mutating func set() -> LikePattern.Step {
        var set = LikePattern.CharacterSet()
        var next = scan.next()
        if next == 0x5e {
            set.isInverted = true
            next = scan.next()
        }
        if next == 0x5d {
            set.ranges.append(0x5d...0x5d)
            next = scan.next()
        }
        var prior: UInt32 = 0
        while let scalar = next, scalar != 0x5d {
            if scalar == 0x2d, prior > 0, !scan.isAtEnd, scan.bytes[scan.position] != 0x5d, let upper = scan.next() {
                if prior <= upper { set.ranges.append(prior...upper) }
                prior = 0
            } else {
                set.ranges.append(scalar...scalar)
                prior = scalar
            }
            next = scan.next()
        }
        return next == nil ? .never : .set(set)
    }
}

/// Greedy matching: when a step fails, the last run takes one code point more. No recursion, no stack.
private struct PatternMatch {
    let steps: [LikePattern.Step]

    func matches(_ text: UnsafeRawBufferPointer) -> Bool {
        var scan = ScalarScan(text)
        var step = 0
        var runStep: Int?
        var runPosition = 0
        while true {
            if step < steps.count, steps[step] == .run {
                step += 1
                if step == steps.count { return true }
                runStep = step
                runPosition = scan.position
                continue
            }
            if step == steps.count {
                if scan.isAtEnd { return true }
            } else if let scalar = scan.next(), holds(steps[step], scalar) {
                step += 1
                continue
            }
            guard let back = runStep else { return false }
            scan.position = runPosition
            guard scan.next() != nil else { return false }
            runPosition = scan.position
            step = back
        }
    }

    @inline(__always)
    private func holds(_ step: LikePattern.Step, _ scalar: UInt32) -> Bool {
        switch step {
        case .scalar(let one, let other): scalar == one || scalar == other
        case .any: true
        case .set(let set): set.contains(scalar)
        case .run, .never: false
        }
    }
}

/// LIKE and GLOB between values.
package enum Matching {
    /// SQLite's bound on the bytes of a pattern.
    package static let patternBytesMax = 50_000

    package static func like(pattern: SQLValue, text: SQLValue, escape: SQLValue? = nil) throws(Fault) -> Bool? {
        guard let compiled = try compile(.like, pattern, escape), let text = text.textValue else { return nil }
        return compiled.matches(text)
    }

    package static func glob(pattern: SQLValue, text: SQLValue) throws(Fault) -> Bool? {
        guard let compiled = try compile(.glob, pattern, nil), let text = text.textValue else { return nil }
        return compiled.matches(text)
    }

    /// `nil` when the pattern or the escape is NULL.
    static func compile(_ kind: PatternKind, _ pattern: SQLValue, _ escape: SQLValue?) throws(Fault) -> LikePattern? {
        let text = pattern.textValue
        if let text, text.string.utf8.count > patternBytesMax {
            throw Fault(.invalid, "a pattern of LIKE or GLOB may have \(patternBytesMax) bytes, not more")
        }
        guard let escape else { return text.map { LikePattern(kind, $0) } }
        guard kind == .like else { throw Fault(.invalid, "GLOB takes no ESCAPE") }
        guard let mark = escape.textValue else { return nil }
        guard let scalar = LikePattern.escape(mark) else {
            throw Fault(.invalid, "what follows ESCAPE must be a single character")
        }
        return text.map { LikePattern(.like, $0, escape: scalar) }
    }
}
