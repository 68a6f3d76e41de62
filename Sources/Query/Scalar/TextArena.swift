// Many texts in one piece of memory.

/// Texts one behind the other: text i is at `offsets[i] ..< offsets[i + 1]`. Whoever made it gives the memory back.
struct TextArena {
    let base: UnsafePointer<UInt8>
    let offsets: UnsafePointer<Int>
    let count: Int

    /// - Parameter offsets: one more than there are texts; the first is 0, the last the count of bytes.
    init(copying bytes: UnsafeBufferPointer<UInt8>, _ offsets: UnsafeBufferPointer<Int>) {
        let target = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        if let source = bytes.baseAddress { target.update(from: source, count: bytes.count) }
        let places = UnsafeMutablePointer<Int>.allocate(capacity: offsets.count)
        if let source = offsets.baseAddress { places.update(from: source, count: offsets.count) }
        base = UnsafePointer(target)
        self.offsets = UnsafePointer(places)
        count = offsets.count - 1
    }

    func deallocate() {
        base.deallocate()
        offsets.deallocate()
    }

    var byteCount: Int { offsets[count] + (count + 1) * MemoryLayout<Int>.stride }

    @inline(__always)
    func bytes(_ index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + offsets[index], count: offsets[index &+ 1] &- offsets[index])
    }
}
