// How many rows of a type there are: what segments, catalog and queries tell each other of an entity's part of a segment.

/// Rows of one type of an entity in a segment.
@frozen
@usableFromInline
package struct TypeCount: Hashable, Sendable, BitwiseCopyable {
    @usableFromInline package var type: UInt32
    @usableFromInline package var rows: Int

    @inlinable
    package init(type: UInt32, rows: Int) {
        self.type = type
        self.rows = rows
    }
}
