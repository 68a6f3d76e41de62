/// A contiguous, growable buffer of plain values with a stable interface for hot loops: take `base`
/// once, then index it. Unlike `Array` it has no uniqueness checks and no retain per access.
@frozen
@usableFromInline
package struct GrowableBuffer<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline package private(set) var base: UnsafeMutablePointer<Element>
    @usableFromInline package private(set) var count: Int
    @usableFromInline package private(set) var capacity: Int

    @inlinable
    package init(capacity: Int = 0) {
        self.capacity = Swift.max(capacity, 16)
        base = .allocate(capacity: self.capacity)
        count = 0
    }

    @inlinable
    deinit { base.deallocate() }

    @inlinable
    package mutating func reserve(_ extra: Int) {
        if count + extra > capacity { grow(to: count + extra) }
    }

    @usableFromInline
    package mutating func grow(to needed: Int) {
        let size = Swift.max(needed, capacity * 2)
        let fresh = UnsafeMutablePointer<Element>.allocate(capacity: size)
        fresh.update(from: base, count: count)
        base.deallocate()
        base = fresh
        capacity = size
    }

    @inlinable
    package mutating func append(_ value: Element) {
        if count == capacity { grow(to: count + 1) }
        base[count] = value
        count &+= 1
    }

    @inlinable
    package mutating func append(from source: UnsafePointer<Element>, count extra: Int) {
        reserve(extra)
        (base + count).update(from: source, count: extra)
        count &+= extra
    }

    /// Makes the buffer `count` long; new elements are `value`.
    @inlinable
    package mutating func resize(to newCount: Int, filling value: Element) {
        if newCount > count {
            reserve(newCount - count)
            (base + count).update(repeating: value, count: newCount - count)
        }
        count = newCount
    }

    @inlinable
    package mutating func truncate(to newCount: Int) { count = newCount }

    @inlinable
    package subscript(index: Int) -> Element {
        get {
            assert(index >= 0 && index < count)
            return base[index]
        }
        set {
            assert(index >= 0 && index < count)
            base[index] = newValue
        }
    }

    @inlinable
    package var buffer: UnsafeBufferPointer<Element> { UnsafeBufferPointer(start: base, count: count) }

    package var byteCount: Int { capacity * MemoryLayout<Element>.stride }
}
