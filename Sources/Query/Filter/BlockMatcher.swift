// Applies a filter to a block of a segment: which of its rows match. Types and kinds are decided once per
// shape, text once per distinct value, numbers in a loop over the column.

import EventStoreCore
import EventStoreSegments

/// One per thread. The selection it returns is valid until the next call.
package final class BlockMatcher {
    private let filter: RowFilter
    private var rows = GrowableBuffer<UInt32>()
    private var mask = GrowableBuffer<UInt8>()
    private var verdicts = GrowableBuffer<UInt8>()
    private var shapeMatches = GrowableBuffer<Bool>()

    package init(_ filter: RowFilter) { self.filter = filter }

    /// Rows of the block that match, ascending. `times` narrows the filter's own range.
    package func match(
        _ scanner: BlockScanner, block: Int, times: ClosedRange<Int64>
    ) throws(Fault) -> UnsafeBufferPointer<UInt32> {
        rows.truncate(to: 0)
        let info = scanner.block(block)
        guard info.minTime <= times.upperBound, info.maxTime >= times.lowerBound, decideShapes(info),
            !(try isPruned(scanner, block, info))
        else { return rows.buffer }
        try selectByShapeAndTime(scanner, block, info, times)
        for predicate in filter.predicates where rows.count > 0 {
            try apply(predicate, scanner, block, info)
        }
        return rows.buffer
    }

    // MARK: Shapes

    /// Whether any shape can match; fills `shapeMatches`.
    private func decideShapes(_ info: ScannedBlock) -> Bool {
        shapeMatches.truncate(to: 0)
        var any = false
        for shape in info.shapes {
            let matches =
                filter.wants(type: shape.type)
                && filter.predicates.allSatisfy { predicate in
                    shape.columns.contains { $0.attribute == predicate.attribute && predicate.canMatch($0.kind) }
                }
            shapeMatches.append(matches)
            any = any || matches
        }
        return any
    }

    /// Whether zone maps or Bloom filters rule the block out.
    private func isPruned(_ scanner: BlockScanner, _ block: Int, _ info: ScannedBlock) throws(Fault) -> Bool {
        for predicate in filter.predicates {
            var possible = false
            for key in info.columns where key.attribute == predicate.attribute && predicate.canMatch(key.kind) {
                if try canMatch(predicate, key, scanner, block) { possible = true }
            }
            if !possible { return true }
        }
        return false
    }

    private func canMatch(
        _ predicate: Predicate, _ key: ColumnKey, _ scanner: BlockScanner, _ block: Int
    ) throws(Fault) -> Bool {
        switch key.kind {
        case .string, .json:
            guard let test = predicate.text(key.kind), test.comparison == .equal else { return true }
            return try test.pattern.withBytes { (text) throws(Fault) in
                try scanner.mightContain(block, key, text)
            }
        case .integer, .bool, .double:
            guard let zone = scanner.zone(block, key) else { return true }
            switch zone {
            case .integers(let least, let greatest):
                let test = key.kind == .bool ? predicate.bools : predicate.integers
                return test?.canMatch(least: least, greatest: greatest) ?? false
            case .doubles(let least, let greatest):
                return predicate.doubles?.canMatch(least: least, greatest: greatest) ?? false
            }
        }
    }

    private func selectByShapeAndTime(
        _ scanner: BlockScanner, _ block: Int, _ info: ScannedBlock, _ times: ClosedRange<Int64>
    ) throws(Fault) {
        let allShapes = !shapeMatches.buffer.contains(false)
        let allTimes = times.lowerBound <= info.minTime && times.upperBound >= info.maxTime
        rows.reserve(info.rows)
        if allShapes && allTimes {
            for row in 0..<info.rows { rows.append(UInt32(truncatingIfNeeded: row)) }
            return
        }
        let codes = allShapes ? nil : try scanner.shapeCodes(block)
        let stamps = allTimes ? nil : try scanner.timestamps(block)
        let wanted = shapeMatches.base
        for row in 0..<info.rows {
            if let codes, !wanted[Int(codes[row])] { continue }
            if let stamps, stamps[row] < times.lowerBound || stamps[row] > times.upperBound { continue }
            rows.append(UInt32(truncatingIfNeeded: row))
        }
    }

    // MARK: Predicates

    /// Keeps the selected rows for which the predicate holds.
    private func apply(
        _ predicate: Predicate, _ scanner: BlockScanner, _ block: Int, _ info: ScannedBlock
    ) throws(Fault) {
        mask.truncate(to: 0)
        mask.resize(to: info.rows, filling: 0)
        // A row has the attribute with one kind at most, so the kinds' results are united.
        for key in info.columns where key.attribute == predicate.attribute && predicate.canMatch(key.kind) {
            guard let column = try scanner.column(block, key) else { continue }
            mark(predicate, key.kind, column, info.rows)
        }
        var kept = 0
        for index in 0..<rows.count {
            let row = rows.base[index]
            rows.base[kept] = row
            kept += Int(mask.base[Int(row)])
        }
        rows.truncate(to: kept)
    }

    private func mark(_ predicate: Predicate, _ kind: ValueKind, _ column: BlockColumn, _ rowCount: Int) {
        switch column.values {
        case .strings(let strings):
            if let test = predicate.text(kind) { mark(test, strings, column, rowCount) }
        case .integers(let values):
            if let test = predicate.integers { mark(column, rowCount) { test.matches(values[$0]) } }
        case .bools(let values):
            if let test = predicate.bools { mark(column, rowCount) { test.matches(values[$0] ? 1 : 0) } }
        case .doubles(let values):
            if let test = predicate.doubles { mark(column, rowCount) { test.matches(values[$0]) } }
        }
    }

    private func mark(_ test: TextTest, _ strings: StringColumn, _ column: BlockColumn, _ rowCount: Int) {
        if strings.isDistinct {
            mark(column, rowCount) { test.matches(strings.entries[$0].bytes) }
            return
        }
        verdicts.truncate(to: 0)
        verdicts.resize(to: strings.entryCount, filling: 0)
        let known = verdicts.base
        mark(column, rowCount) { index in
            let code = Int(strings.codes[index])
            if known[code] == 0 { known[code] = test.matches(strings.entries[code].bytes) ? 2 : 1 }
            return known[code] == 2
        }
    }

    @inline(__always)
    private func mark(_ column: BlockColumn, _ rowCount: Int, _ holds: (Int) -> Bool) {
        let target = mask.base
        if let dense = column.dense {
            for index in 0..<rows.count {
                let row = Int(rows.base[index])
                let place = Int(dense[row])
                if place >= 0, holds(place) { target[row] = 1 }
            }
        } else {
            for index in 0..<rows.count {
                let row = Int(rows.base[index])
                if holds(row) { target[row] = 1 }
            }
        }
    }
}
