// The values that entities of a segment share, per attribute: decoded when a column first asks, then kept as
// long as the segment's reader.

import EventStoreCore
import Synchronization

enum VocabularyCodec {
    /// Descriptor, then payload of the list.
    static func encode(_ values: [StringRef]) -> ByteSinkBox {
        let box = ByteSinkBox()
        var payload = ByteSink()
        values.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let form = StringEntriesCodec.choose(base, count: buffer.count)
            StringEntriesCodec.write(base, count: buffer.count, form: form, descriptor: &box.sink, payload: &payload)
        }
        box.sink.raw(payload.bytes)
        return box
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, count: Int, arena: Arena) throws(Fault) -> VocabularyColumn {
        var reader = DescriptorReader(bytes)
        let layout = try StringEntriesCodec.parse(&reader, count: count)
        let payload = try reader.raw(layout.payloadBytes)
        guard reader.isAtEnd else { throw Fault(.damaged, "bytes after a vocabulary") }
        let entries = arena.take(count, of: StringRef.self)
        try StringEntriesCodec.decode(layout, payload: payload, arena: arena, into: entries)
        let numbers = arena.take(count, of: UInt32.self)
        for index in 0..<count { numbers[index] = UInt32(truncatingIfNeeded: index) }
        return VocabularyColumn(entries: UnsafePointer(entries), numbers: UnsafePointer(numbers), count: count)
    }
}

/// A sink that can be returned from a function and kept.
final class ByteSinkBox {
    var sink = ByteSink()
    var bytes: UnsafeRawBufferPointer { sink.bytes }
    var count: Int { sink.count }
}

/// `@unchecked Sendable`: all state is behind the mutex; what a column points to is written before it is
/// published there and never again.
package final class SegmentVocabulary: @unchecked Sendable {
    private struct State {
        var columns: [UInt32: VocabularyColumn] = [:]
        var arenas: [Arena] = []
    }
    private let state = Mutex(State())

    /// Memory held by decoded values.
    package var byteCount: Int { state.withLock { $0.arenas.reduce(0) { $0 + $1.byteCount } } }

    /// The column of an attribute; `load` decodes it on first use.
    func column(
        _ attribute: UInt32, load: (Arena) throws(Fault) -> VocabularyColumn?
    ) throws(Fault) -> VocabularyColumn? {
        if let known = state.withLock({ $0.columns[attribute] }) { return known }
        // Two threads may decode the same column; the first to finish is kept.
        let arena = Arena()
        guard let column = try load(arena) else { return nil }
        let box = Unchecked(column: column, arena: arena)
        return state.withLock { state in
            if let known = state.columns[attribute] { return known }
            state.columns[attribute] = box.column
            state.arenas.append(box.arena)
            return box.column
        }
    }

    /// `@unchecked Sendable`: handed over whole, nobody else knows it.
    private struct Unchecked: @unchecked Sendable {
        var column: VocabularyColumn
        var arena: Arena
    }
}
