// Checks every byte of a segment file: first version, by decoding all of it.

import EventStoreCore

package struct SegmentVerification {
    package struct Finding {
        package var entity: UInt32?
        package var block: Int?
        package var rows: Int?
        package var minTime: Int64?
        package var maxTime: Int64?
        package var fault: Fault
    }
    package var blocks = 0
    package var rows = 0
    package var bytes = 0
    package var findings: [Finding] = []
}

package enum SegmentVerifier {
    package static func verify(_ segment: SegmentReader, sealer: any BlockSealer) -> SegmentVerification {
        var result = SegmentVerification()
        result.bytes = segment.fileBytes
        do throws(Fault) {
            let scanner = BlockScanner(sealer: sealer)
            try scanner.prefetch(segment)
            for entry in try segment.directory(sealer).entities {
                try scanner.open(segment, entry)
                for block in 0..<scanner.blockCount {
                    result.blocks += 1
                    let info = scanner.block(block)
                    result.rows += info.rows
                    _ = try scanner.timestamps(block)
                    _ = try scanner.ids(block)
                    _ = try scanner.sequences(block)
                    _ = try scanner.received(block)
                    _ = try scanner.shapeCodes(block)
                    for key in info.columns { _ = try scanner.column(block, key) }
                }
            }
        } catch {
            result.findings.append(.init(fault: error))
        }
        return result
    }
}
