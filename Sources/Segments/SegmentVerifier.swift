// Reads every byte of a segment and checks all that is said about it in two places: damage becomes a list of
// findings, each naming what is lost, and the rest of the file is still looked at.

import EventStoreCore

/// What verifying a segment found.
package struct SegmentVerification: Sendable {
    package struct Finding: Sendable {
        /// nil when it concerns no single entity: directory, vocabulary, bytes between packs.
        package var entity: UInt32?
        /// nil when the whole entity is lost.
        package var block: Int?
        package var rows: Int
        package var minTime: Int64
        package var maxTime: Int64
        package var fault: Fault
    }
    package var blocks = 0
    package var rows = 0
    /// Bytes of the file that were read and found good.
    package var bytes = 0
    package var findings: [Finding] = []
    package init() {}
}

package enum SegmentVerifier {
    /// Never throws: what cannot be read is a finding. An entity whose key is erased is one, too, with the
    /// fault's code `keyErased`, unless it is among `gone`: entities recorded as erased or expired, whose bytes
    /// may be holes. With any of them left out, bytes that belong to nothing cannot be told from theirs.
    ///
    /// - Parameter keys: ids of the keys of entities whose part is not under the one they have now.
    package static func verify(
        _ segment: SegmentReader, sealer: any BlockSealer, gone: Set<UInt32> = [], keys: [UInt32: UInt64] = [:]
    ) -> SegmentVerification {
        let run = VerifierRun(segment, sealer, gone, keys)
        run.verify()
        return run.result
    }
}

private final class VerifierRun {
    var result = SegmentVerification()
    private let segment: SegmentReader
    private let sealer: any BlockSealer
    private let scanner: BlockScanner
    private let gone: Set<UInt32>
    private let keys: [UInt32: UInt64]
    /// Places that are accounted for.
    private var places: [Range<Int>] = []
    /// Whether all places of entities are known.
    private var knowsAllPlaces = true
    private var types: Set<UInt32> = []
    private var attributes: Set<UInt32> = []
    private var minSequence = UInt64.max
    private var maxSequence: UInt64 = 0

    init(
        _ segment: SegmentReader, _ sealer: any BlockSealer, _ gone: Set<UInt32>, _ keys: [UInt32: UInt64]
    ) {
        self.segment = segment
        self.keys = keys
        self.gone = gone
        self.sealer = sealer
        scanner = BlockScanner(sealer: sealer)
    }

    func verify() {
        do throws(Fault) {
            let directory = try segment.directory(sealer)
            account(0, SegmentRegions.hot)
            account(segment.regions.directory, segment.fileBytes - segment.regions.directory)
            verifyVocabulary(directory)
            try scanner.prefetch(segment)
            for var entry in directory.entities {
                entry.keyID = keys[entry.entity] ?? 0
                if gone.contains(entry.entity) { knowsAllPlaces = false } else { verify(entry) }
            }
            if result.findings.isEmpty, knowsAllPlaces { checkTotals(directory) }
            if knowsAllPlaces { checkTiling() }
        } catch { report(error) }
    }

    private func account(_ offset: Int, _ length: Int) {
        if length > 0 { places.append(offset..<offset + length) }
        result.bytes += length
    }

    private func report(_ fault: Fault) {
        result.findings.append(
            .init(entity: nil, block: nil, rows: 0, minTime: 0, maxTime: 0, fault: fault.at(file: segment.path)))
    }

    private func report(_ message: String, offset: Int? = nil) {
        report(Fault(.damaged, message, at: .init(file: segment.path, offset: offset)))
    }

    // MARK: Parts

    private func verifyVocabulary(_ directory: SegmentDirectory) {
        for place in directory.vocabularyPlaces {
            places.append(place.offset..<place.offset + place.length)
            do throws(Fault) {
                _ = try segment.vocabularyColumn(place.attribute, sealer)
                result.bytes += place.length
            } catch { report(error) }
        }
    }

    private func verify(_ entry: SegmentEntityEntry) {
        do throws(Fault) { try scanner.open(segment, entry) } catch {
            knowsAllPlaces = false
            result.findings.append(
                .init(
                    entity: entry.entity, block: nil, rows: entry.rows, minTime: entry.minTime,
                    maxTime: entry.maxTime, fault: error))
            return
        }
        account(entry.headOffset, entry.headLength)
        for place in scanner.headPlaces { account(place.lowerBound, place.count) }
        var check = EntityCheck(entry)
        var isWhole = true
        for index in 0..<scanner.blockCount {
            let block = scanner.blockState(index).pointee
            for slot in block.packs where slot.length > 0 { places.append(slot.offset..<slot.offset + slot.length) }
            do throws(Fault) {
                try verify(index, &check)
                result.blocks += 1
                result.rows += block.rows
                for slot in block.packs { result.bytes += slot.length }
            } catch {
                isWhole = false
                result.findings.append(
                    .init(
                        entity: entry.entity, block: index, rows: block.rows, minTime: block.minTime,
                        maxTime: block.maxTime, fault: scanner.located(error, index)))
            }
        }
        guard isWhole else { return }
        do throws(Fault) { try check.finish() } catch {
            result.findings.append(
                .init(
                    entity: entry.entity, block: nil, rows: entry.rows, minTime: entry.minTime,
                    maxTime: entry.maxTime, fault: error.at(file: segment.path, entity: entry.entity)))
        }
    }

    private func verify(_ index: Int, _ check: inout EntityCheck) throws(Fault) {
        let state = scanner.blockState(index)
        let block = state.pointee
        for number in block.packs.indices where block.packs[number].length > 0 {
            _ = try scanner.pack(number, state, index)
        }
        let codes = try scanner.shapeCodes(index)
        let times = try scanner.timestamps(index)
        let sequences = try scanner.sequences(index)
        _ = try scanner.received(index)
        try check.rows(block, codes, times, sequences)
        for row in 0..<block.rows {
            let stored = sequences[row] &- segment.sequenceBase
            minSequence = min(minSequence, stored)
            maxSequence = max(maxSequence, stored)
        }
        for shape in block.shapes { types.insert(shape.type) }
        for number in block.columns.indices {
            attributes.insert(block.columns[number].key.attribute)
            let hasBloom = block.columns[number].bloomPack >= 0
            try ColumnCheck.check(try scanner.column(index, at: number), block.zones?[number], hasBloom: hasBloom) {
                text throws(Fault) in
                try scanner.mightContain(index, block.columns[number].key, text)
            }
        }
        let ids = try scanner.ids(index)
        for row in 0..<block.rows where !(try scanner.mightContainID(index, ids[row])) {
            throw Fault(.damaged, "a Bloom filter lacks an id of its block")
        }
    }

    // MARK: Sums

    private func checkTotals(_ directory: SegmentDirectory) {
        let least = directory.entities.map(\.minTime).min()
        let greatest = directory.entities.map(\.maxTime).max()
        if result.rows != directory.rows || least != directory.minTime || greatest != directory.maxTime {
            report("rows or times of the directory are not those of its entities")
        }
        if minSequence != directory.minSequence || maxSequence != directory.maxSequence {
            report("sequences of the directory are not those of its rows")
        }
        if types.sorted() != directory.typeNumbers || attributes.sorted() != directory.attributeNumbers {
            report("names of the directory are not those of its blocks")
        }
        if directory.minTime < segment.partitionStart
            || directory.maxTime - segment.partitionStart >= segment.partitionMs
        {
            report("rows outside the segment's partition")
        }
    }

    /// Every byte of the file belongs to exactly one part.
    private func checkTiling() {
        var end = 0
        for place in places.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if place.lowerBound != end {
                return report(
                    place.lowerBound > end ? "bytes that belong to nothing" : "two packs share bytes",
                    offset: min(end, place.lowerBound))
            }
            end = place.upperBound
        }
        if end != segment.fileBytes { report("bytes that belong to nothing", offset: end) }
    }
}

/// Order, ranges and counts of the rows of one entity.
private struct EntityCheck {
    private let entry: SegmentEntityEntry
    private var typeRows: [TypeCount] = []
    private var last: (time: Int64, sequence: UInt64)?
    private var minTime = Int64.max
    private var maxTime = Int64.min

    init(_ entry: SegmentEntityEntry) { self.entry = entry }

    mutating func rows(
        _ block: BlockState, _ codes: UnsafePointer<UInt32>, _ times: UnsafePointer<Int64>,
        _ sequences: UnsafePointer<UInt64>
    ) throws(Fault) {
        var least = Int64.max
        var greatest = Int64.min
        for row in 0..<block.rows {
            let type = block.shapes[Int(codes[row])].type
            least = min(least, times[row])
            greatest = max(greatest, times[row])
            if typeRows.last?.type != type {
                if let before = typeRows.last?.type, before > type { throw disorder() }
                typeRows.append(TypeCount(type: type, rows: 0))
                last = nil
            }
            typeRows[typeRows.count - 1].rows += 1
            if let last, (times[row], sequences[row]) < last { throw disorder() }
            last = (times[row], sequences[row])
        }
        guard least == block.minTime, greatest == block.maxTime else {
            throw Fault(.damaged, "times of a block are not those of its rows")
        }
        minTime = min(minTime, least)
        maxTime = max(maxTime, greatest)
    }

    private func disorder() -> Fault { Fault(.damaged, "rows are not in their order") }

    func finish() throws(Fault) {
        guard typeRows == entry.types, minTime == entry.minTime, maxTime == entry.maxTime else {
            throw Fault(.damaged, "types or times of the directory are not those of the entity's rows")
        }
    }
}

/// Zone maps and Bloom filters against the values.
private enum ColumnCheck {
    static func check(
        _ column: BlockColumn, _ zone: BlockZone?, hasBloom: Bool,
        _ mightContain: (UnsafeRawBufferPointer) throws(Fault) -> Bool
    ) throws(Fault) {
        switch column.values {
        case .integers(let values):
            guard case .integers(let least, let greatest)? = zone else { return }
            let buffer = UnsafeBufferPointer(start: values, count: column.count)
            if buffer.min() != least || buffer.max() != greatest { throw badZone() }
        case .doubles(let values):
            guard case .doubles(let least, let greatest)? = zone else { return }
            let range = ZoneOfDoubles.range(values, column.count)
            if range.0.bitPattern != least.bitPattern || range.1.bitPattern != greatest.bitPattern { throw badZone() }
        case .strings(let strings):
            for row in 0..<column.count {
                guard Int(strings.codes[row]) < strings.entryCount else {
                    throw Fault(.damaged, "code beyond its dictionary")
                }
            }
            guard hasBloom else { return }
            var isSeen = [Bool](repeating: false, count: strings.entryCount)
            for row in 0..<column.count where !isSeen[Int(strings.codes[row])] {
                isSeen[Int(strings.codes[row])] = true
                if !(try mightContain(strings.entries[Int(strings.codes[row])].bytes)) {
                    throw Fault(.damaged, "a Bloom filter lacks a value of its column")
                }
            }
        case .bools:
            break
        }
    }

    private static func badZone() -> Fault { Fault(.damaged, "a zone map is not that of its column") }
}
