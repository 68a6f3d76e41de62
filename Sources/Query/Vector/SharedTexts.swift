// Codes of texts that mean the same in all units of a column: grouping by them needs no look at bytes.

import EventStoreCore
import Synchronization

/// Texts of one column, each once, with codes 1, 2, 3 … in order of first appearance. Grows only.
final class SharedTexts: Sendable {
    private let table = Guarded(StringTable(capacity: 64))

    var byteCount: Int { table.withLock { $0.byteCount } }

    /// The code of these bytes if they are known, else 0.
    func find(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        table.withLock { table in table.find(bytes).map { $0 + 1 } ?? 0 }
    }

    func text(_ code: UInt32) -> Text { withBytes(code) { Text($0) } }

    /// The bytes of a code, for the time of the call, which must not ask for more.
    func withBytes<T>(_ code: UInt32, _ body: (UnsafeRawBufferPointer) -> T) -> T {
        table.withLock { body($0.bytes(Int(code) - 1)) }
    }

    /// The codes of all of these texts, new or known.
    fileprivate func codes(_ arena: TextArena) -> SharedCodes {
        let codes = UnsafeMutablePointer<UInt32>.allocate(capacity: arena.count + 1)
        codes[0] = 0
        let limit = table.withLock { table in
            for index in 0..<arena.count { codes[index + 1] = table.intern(arena.bytes(index)) + 1 }
            return table.count + 1
        }
        return SharedCodes(self, codes, limit: limit)
    }
}

/// The shared codes of a dictionary's codes. `@unchecked Sendable`: immutable once made; its memory is its own.
final class SharedCodes: @unchecked Sendable {
    let texts: SharedTexts
    /// By code in the dictionary; NULL is 0 in both.
    let codes: UnsafePointer<UInt32>
    /// Above all of the codes.
    let limit: Int

    fileprivate init(_ texts: SharedTexts, _ codes: UnsafeMutablePointer<UInt32>, limit: Int) {
        self.texts = texts
        self.codes = UnsafePointer(codes)
        self.limit = limit
    }

    deinit { codes.deallocate() }
}

/// The shared texts of a cache, by column.
final class TextLedger: Sendable {
    private struct State {
        var columns: [UnitColumnID: SharedTexts] = [:]
        var byteCount = 0
    }

    private let state = Mutex(State())
    private let budget: Int

    init(budget: Int) { self.budget = budget }

    var byteCount: Int { state.withLock { $0.byteCount } }

    func texts(of column: UnitColumnID) -> SharedTexts {
        state.withLock { state in
            if let known = state.columns[column] { return known }
            let fresh = SharedTexts()
            state.columns[column] = fresh
            state.byteCount += fresh.byteCount
            return fresh
        }
    }

    /// Codes of the texts of a dictionary of a column; `nil` when memory does not allow more.
    func codes(_ arena: TextArena, _ texts: SharedTexts, of column: UnitColumnID) -> SharedCodes? {
        let before = texts.byteCount
        // Tables grow by doubling.
        guard byteCount + before + 2 * arena.byteCount <= budget else { return nil }
        let codes = texts.codes(arena)
        let more = texts.byteCount - before
        state.withLock { state in if state.columns[column] === texts { state.byteCount += more } }
        return codes
    }

    /// Forgets all texts. Queries that run keep those they have.
    func reset() { state.withLock { $0 = State() } }
}

/// What a dictionary in a cache shares with the others of its column.
struct DictionarySharing: Sendable {
    private var ledger: TextLedger?
    private var column = UnitColumnID.entity
    private var wasUsed = false
    private var codes: SharedCodes?

    init() {}

    init(_ ledger: TextLedger, _ column: UnitColumnID) {
        self.ledger = ledger
        self.column = column
    }

    /// The shared codes from the second time on: who asks once pays nothing for those who might ask again.
    mutating func codes(of arena: TextArena) -> SharedCodes? {
        guard let ledger else { return nil }
        let texts = ledger.texts(of: column)
        if let codes, codes.texts === texts { return codes }
        if wasUsed { codes = ledger.codes(arena, texts, of: column) }
        wasUsed = true
        return codes?.texts === texts ? codes : nil
    }
}
