// Ids for lines that bring none: the same line of the same log gets the same id whenever it is imported.

import EventStoreCore
import EventStoreCrypto
import EventStoreIngest

/// Keyed hashes for one parser.
final class StoreLineIdentity: LineIdentity {
    private let hasher: LineHasher

    init(_ keyring: Keyring) { hasher = LineHasher(key: keyring.subkey(.lineIDs)) }

    func lineID(entity: UnsafeRawBufferPointer, line: UnsafeRawBufferPointer) -> EventID {
        hasher.begin()
        hasher.add(entity)
        hasher.add(line)
        return hasher.finish()
    }

    func textID(_ text: UnsafeRawBufferPointer) -> EventID {
        hasher.begin()
        hasher.add(text)
        return hasher.finish()
    }
}

/// Tells the n-th occurrence of an equal line from the first: counts lines over a whole import.
///
/// Keeps 12 bytes for each line without an id, in an open-addressing table of the ids' lower halves. Those are
/// 62 bits of a keyed hash: among ten million lines two differ and collide with a probability of 10^-5, and
/// the later one would then only get the id of a second occurrence.
struct LineOccurrences: ~Copyable {
    private var keys = GrowableBuffer<UInt64>()
    private var counts = GrowableBuffer<UInt32>()
    private var mask = 0
    private var used = 0
    private let hasher: LineHasher

    init(_ keyring: Keyring) {
        hasher = LineHasher(key: keyring.subkey(.lineIDs))
        allocate(4096)
    }

    private mutating func allocate(_ size: Int) {
        keys = GrowableBuffer(capacity: size)
        counts = GrowableBuffer(capacity: size)
        keys.resize(to: size, filling: 0)
        counts.resize(to: size, filling: 0)
        mask = size - 1
    }

    /// Gives the rows of a batch that come from lines their final ids. Batches come in the order of the input.
    mutating func settle(_ batch: RowBatch) {
        for row in 0..<batch.rowCount where batch.flags.base[row].contains(.idFromLine) {
            let first = batch.id.base[row]
            let earlier = count(first.low)
            if earlier > 0 { batch.id.base[row] = id(first, occurrence: UInt64(earlier)) }
        }
    }

    /// How often the key came before; counts this time.
    private mutating func count(_ key: UInt64) -> UInt32 {
        if (used + 1) * 4 > (mask + 1) * 3 { grow() }
        // Ids have their variant bits set, so no key is 0.
        var slot = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 20) & mask
        while keys.base[slot] != 0, keys.base[slot] != key { slot = (slot + 1) & mask }
        if keys.base[slot] == 0 {
            keys.base[slot] = key
            used += 1
        }
        defer { counts.base[slot] &+= 1 }
        return counts.base[slot]
    }

    private mutating func grow() {
        var old = LineOccurrences(emptyLike: self)
        swap(&self.keys, &old.keys)
        swap(&self.counts, &old.counts)
        let oldMask = mask
        allocate((oldMask + 1) * 2)
        for slot in 0...oldMask where old.keys.base[slot] != 0 {
            var place = Int(truncatingIfNeeded: (old.keys.base[slot] &* 0x9e37_79b9_7f4a_7c15) >> 20) & mask
            while keys.base[place] != 0 { place = (place + 1) & mask }
            keys.base[place] = old.keys.base[slot]
            counts.base[place] = old.counts.base[slot]
        }
    }

    private init(emptyLike other: borrowing LineOccurrences) { hasher = other.hasher }

    private func id(_ first: EventID, occurrence: UInt64) -> EventID {
        hasher.begin()
        hasher.add(first.high)
        hasher.add(first.low)
        hasher.add(occurrence)
        return .version8(hash: hasher.finish())
    }
}
