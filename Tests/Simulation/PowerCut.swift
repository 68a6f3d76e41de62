// What a power cut leaves of a log of operations.
//
// POSIX promises for a file what was written before its last sync, and for a directory the names it had at its last
// sync; of everything later each part may be there or not. So a cut is described by what is durable, the operations
// that are pending, and a fate for each of these. What SQLite assumes of disks holds here too: bytes outside the range
// of a write that was cut short are as they were.

/// What becomes of a pending operation.
package enum Fate: Sendable, Hashable {
    case kept
    case dropped
    /// Of a write: some of the sectors of 512 or 4,096 bytes it covers are written, the others are as before.
    case torn(sector: Int, UInt64)
    /// The file's size changed, and zeros are where the bytes should be.
    case zeroed
    /// The file's size changed, and anything is where the bytes should be.
    case garbage(UInt64)
}

/// Follows a log and knows, at every operation, what could be on the disk if power failed now.
package struct PowerCut: Sendable {
    package private(set) var durable: DiskState
    package private(set) var pending: [DiskOperation] = []

    package init(_ durable: DiskState = DiskState()) { self.durable = durable }

    package mutating func follow(_ operation: DiskOperation) {
        switch operation {
        case .mark: return
        case .syncFile(let file): settle { $0.file == file }
        case .syncDirectory(let directory): settle { $0.directory == directory }
        case .create(_, _, let node):
            durable.addFile(node)
            pending.append(operation)
        case .makeDirectory(_, _, let node):
            durable.addDirectory(node)
            pending.append(operation)
        default: pending.append(operation)
        }
    }

    private mutating func settle(_ isDurable: (DiskOperation) -> Bool) {
        var left: [DiskOperation] = []
        for operation in pending {
            if isDurable(operation) { durable.apply(operation) } else { left.append(operation) }
        }
        pending = left
    }

    package mutating func takeDigests() { durable.takeDigests() }

    /// The disk after the cut: one fate for each pending operation, in the order of the log.
    package func image(_ fates: [Fate]) -> DiskState {
        precondition(fates.count == pending.count)
        var image = durable
        for (operation, fate) in zip(pending, fates) {
            switch (operation, fate) {
            case (_, .dropped): break
            case (_, .kept): image.apply(operation)
            case (.write(let file, let offset, let bytes), .torn(let sector, let seed)):
                image.tear(file, offset, bytes, sector, seed)
            case (.write(let file, let offset, let bytes), .zeroed):
                image.write(file, offset, [UInt8](repeating: 0, count: bytes.count)[...])
            case (.write(let file, let offset, let bytes), .garbage(let seed)):
                var generator = SeededGenerator(seed: seed)
                image.write(file, offset, generator.bytes(bytes.count)[...])
            // Changes of names and sizes happen or do not.
            case (_, .torn), (_, .zeroed), (_, .garbage): image.apply(operation)
            }
        }
        image.forgetUnreachable()
        return image
    }

    // MARK: Choosing fates

    /// Every choice of keeping and dropping.
    package func allSubsets() -> [[Fate]] {
        (0..<1 << pending.count).map { bits in
            pending.indices.map { bits >> $0 & 1 == 1 ? .kept : .dropped }
        }
    }

    /// One choice: the plain ones, those that differ from them in one operation, and any at all.
    package func someFates(_ generator: inout SeededGenerator) -> [Fate] {
        let count = pending.count
        guard count > 0 else { return [] }
        let place = Int.random(in: 0..<count, using: &generator)
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: return [Fate](repeating: .dropped, count: count)
        case 1: return [Fate](repeating: .kept, count: count)
        case 2...5:
            // In order, and cut short somewhere.
            let broken = PowerCut.fate(&generator)
            return (0..<count).map { $0 < place ? .kept : $0 == place ? broken : .dropped }
        case 6...9:
            let broken = PowerCut.fate(&generator)
            return (0..<count).map { $0 == place ? broken : .kept }
        case 10, 11: return (0..<count).map { $0 == place ? .kept : .dropped }
        case 12...14:
            return (0..<count).map { _ in generator.chance(1, of: 2) ? .kept : .dropped }
        default:
            let share = generator.pick([1, 4, 7])
            return (0..<count).map { _ in generator.chance(share, of: 8) ? .kept : PowerCut.fate(&generator) }
        }
    }

    private static func fate(_ generator: inout SeededGenerator) -> Fate {
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: .kept
        case 1: .torn(sector: 512, generator.next())
        case 2: .torn(sector: 4096, generator.next())
        case 3: .zeroed
        case 4: .garbage(generator.next())
        default: .dropped
        }
    }
}

extension DiskOperation {
    /// The file whose content it changes.
    var file: Int? {
        switch self {
        case .write(let file, _, _), .truncate(let file, _), .zero(let file, _): file
        default: nil
        }
    }

    /// The directory whose sync makes it durable; a move from one to another becomes so as a whole, with the target.
    var directory: Int? {
        switch self {
        case .create(let directory, _, _), .makeDirectory(let directory, _, _), .unlink(let directory, _): directory
        case .rename(_, _, let directory, _, _): directory
        default: nil
        }
    }
}

extension DiskState {
    /// Sectors from the first to some one, or any of them.
    fileprivate mutating func tear(_ file: Int, _ offset: Int, _ bytes: [UInt8], _ sector: Int, _ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let isPrefix = generator.chance(1, of: 2)
        let sectors = (offset + bytes.count - 1) / sector - offset / sector + 1
        let end = Int.random(in: 0..<max(1, sectors), using: &generator)
        var place = offset
        var index = 0
        while place < offset + bytes.count {
            let next = min((place / sector + 1) * sector, offset + bytes.count)
            if isPrefix ? index < end : generator.chance(1, of: 2) {
                write(file, place, bytes[place - offset..<next - offset])
            }
            place = next
            index += 1
        }
    }
}

/// SplitMix64: small, fast, replayable from its seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }

    package mutating func chance(_ numerator: Int, of denominator: Int) -> Bool {
        Int.random(in: 0..<denominator, using: &self) < numerator
    }

    package mutating func pick<T>(_ choices: [T]) -> T {
        choices[Int.random(in: 0..<choices.count, using: &self)]
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        fill(&bytes)
        return bytes
    }

    private mutating func fill(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { fill($0) }
    }

    package mutating func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while offset < bytes.count {
            withUnsafeBytes(of: next()) { word in
                let count = min(8, bytes.count - offset)
                UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: word[..<count]))
            }
            offset += 8
        }
    }
}
