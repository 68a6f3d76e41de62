// Bytes that nobody vouches for: reading them throws a Fault or gives values, it never traps.

import EventStoreCore
import EventStoreParquet
import Testing

struct HostileTests {
    /// A small file with every kind, dictionaries, deltas and compressed pages in it.
    private func smallFile(rows: Int = 60) throws -> [UInt8] {
        let kinds = ParquetKind.allCases
        let cells = kinds.map { kind in
            (0..<rows).map { row -> Cell in
                if row % 11 == 5 { return .null }
                if kind == .uuid { return .text([UInt8](repeating: UInt8(truncatingIfNeeded: row), count: 16)) }
                return kind.isText
                    ? .text(Array("text \(row % 4)".utf8)) : .word(UInt64(kind == .bool ? row & 1 : row * 3))
            }
        }
        return try Table(columns: kinds.map { ParquetColumn("\($0)", $0) }, cells: cells).written(groupRows: rows / 2)
    }

    @Test func everyTruncationThrows() throws {
        let bytes = try smallFile()
        for length in 0..<bytes.count {
            #expect(throws: Fault.self) { try Table.read(Array(bytes[..<length]), rowsMax: 10_000) }
        }
    }

    @Test func everyFlippedByteThrowsOrReads() throws {
        let bytes = try smallFile(rows: 24)
        var failures = 0
        for position in bytes.indices {
            for mask in [UInt8(1), 0x80] {
                var broken = bytes
                broken[position] ^= mask
                if !reads(broken) { failures += 1 }
            }
        }
        #expect(failures > bytes.count / 4)
    }

    @Test func randomDamageThrowsOrReads() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        let bytes = try smallFile(rows: 400)
        for _ in 0..<1500 {
            var broken = bytes
            for _ in 0...random.below(6) {
                // Half of the damage goes to the footer, where the lengths are.
                let footer = bytes.count - 1500
                let position = random.below(2) == 0 ? footer + random.below(1500) : random.below(bytes.count)
                broken[position] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = reads(broken, "seed \(seed)")
        }
    }

    @Test func randomBytesAreNoFile() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            var bytes = (0..<random.below(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let length = random.below(bytes.count + 1)
            bytes += [UInt8(length & 255), UInt8(length >> 8), 0, 0] + Array("PAR1".utf8)
            #expect(!reads(bytes), "seed \(seed)")
        }
    }

    private func reads(_ bytes: [UInt8], _ comment: Comment? = nil) -> Bool {
        do {
            _ = try Table.read(bytes, rowsMax: 5000)
            return true
        } catch {
            #expect(error is Fault, comment)
            return false
        }
    }

    @Test func encryptedFilesAreNamed() throws {
        var bytes = try smallFile()
        bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: Array("PARE".utf8))
        let fault = #expect(throws: Fault.self) { try Table.read(bytes) }
        #expect(fault?.code == .invalid && fault?.message.contains("encrypted") == true)
    }

    @Test func otherFilesAreNamed() throws {
        let fault = #expect(throws: Fault.self) { try Table.read(Array("{\"id\": 1}\n{\"id\": 2}\n".utf8)) }
        #expect(fault?.code == .damaged && fault?.message.contains("no Parquet file") == true)
    }
}
