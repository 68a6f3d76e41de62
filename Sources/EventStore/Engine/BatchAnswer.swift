// The answer a batch id keeps: what became of each event of its batch, byte for byte as docs/format/store.md says.

import EventStoreCore

/// What a batch was answered, kept with its id.
struct BatchAnswer {
    var verdicts: [RowVerdict]
    var nextSequence: UInt64

    func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: verdicts.count + 16)
        writer.u8(1)
        writer.integer(nextSequence)
        writer.varint(verdicts.count)
        for verdict in verdicts { writer.u8(verdict.rawValue) }
        return writer.bytes
    }

    init(verdicts: [RowVerdict], nextSequence: UInt64) {
        self.verdicts = verdicts
        self.nextSequence = nextSequence
    }

    init(decoding bytes: [UInt8]) throws(Fault) {
        let parsed = try bytes.withBytes { (bytes) throws(Fault) in
            var reader = ByteReader(bytes)
            guard try reader.u8() == 1 else { throw Fault(.tooNew, "a batch's answer has an unknown version") }
            let next = try reader.u64()
            let count = try reader.count(max: reader.remaining)
            var verdicts: [RowVerdict] = []
            for _ in 0..<count {
                guard let verdict = RowVerdict(rawValue: try reader.u8()) else {
                    throw Fault(.damaged, "a batch's answer does not decode")
                }
                verdicts.append(verdict)
            }
            return (verdicts, next)
        }
        (verdicts, nextSequence) = parsed
    }
}
